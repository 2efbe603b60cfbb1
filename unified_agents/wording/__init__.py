"""Every text that the library writes to a model, one file for each topic.

Callers take the texts from here, as in `wording.tool_failed(…)`.
"""

from unified_agents.wording.answers import *
from unified_agents.wording.arguments import *
from unified_agents.wording.common import CUT_MARK as CUT_MARK, OBSERVATION as OBSERVATION
from unified_agents.wording.judging import *
from unified_agents.wording.mcp import *
from unified_agents.wording.openapi import *
from unified_agents.wording.react import *
from unified_agents.wording.references import *
from unified_agents.wording.results import *
from unified_agents.wording.schemas import *
from unified_agents.wording.tools import *
