"""The settings of agents, models and catalogues, in Python or in a YAML file.

All public names of this package can be imported from here.
"""

from unified_agents.config.agent import (
    AgentConfig,
    CatalogueConfig,
    Handling,
    Limits,
    MemoryConfig,
    SelectConfig,
    ToolPolicy,
    ToolSource,
    Variant,
    parse_config,
)
from unified_agents.config.files import load_config, load_tools, read_yaml
from unified_agents.config.model import (
    FaultShare,
    ModelConfig,
    ModelPolicy,
    Provider,
    ResultParts,
    RetriedKind,
    ShareFault,
)
from unified_agents.config.model_parameters import ModelParameters, ReasoningParameters
from unified_agents.config.model_price import ModelPrice
from unified_agents.config.providers import OPENAI_BASE_URL, OPENAI_KEY_VARIABLE
from unified_agents.config.settings import ConfigT, Settings

__all__ = [
    "OPENAI_BASE_URL",
    "OPENAI_KEY_VARIABLE",
    "AgentConfig",
    "CatalogueConfig",
    "ConfigT",
    "FaultShare",
    "Handling",
    "Limits",
    "MemoryConfig",
    "ModelConfig",
    "ModelParameters",
    "ModelPolicy",
    "ModelPrice",
    "Provider",
    "ReasoningParameters",
    "ResultParts",
    "RetriedKind",
    "SelectConfig",
    "Settings",
    "ShareFault",
    "ToolPolicy",
    "ToolSource",
    "Variant",
    "load_config",
    "load_tools",
    "parse_config",
    "read_yaml",
]
