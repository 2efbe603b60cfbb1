"""What an agent is made of, once files are read, names are imported and defaults are filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unified_agents.catalogue.catalogue import ToolLike
from unified_agents.config import Handling, Limits, MemoryConfig, ModelConfig, ToolPolicy, Variant
from unified_agents.journal.protocol import Journal
from unified_agents.tools.options import Coercion
from unified_agents.wire.local_upstream import ReplyingModel
from unified_agents.wire.output_format import OutputType

if TYPE_CHECKING:
    from unified_agents.catalogue.selection import Selector
    from unified_agents.scripted.replay import CassetteModel


@dataclass(slots=True, frozen=True, kw_only=True)
class AgentSettings:
    """The settings of one agent; `create_agent` documents them.

    Attributes:
        local_model: A model in this process, which answers in place of the server of `model`; None asks the server.
        file: The YAML file that it was read from; None for none.
        record: The cassette that each exchange with the model is added to; None for none.
        replay: The cassette that answers in place of the model; None for none.
    """

    backend: str
    model: ModelConfig
    local_model: ReplyingModel | None
    instructions: str | None
    tools: Sequence[ToolLike]
    limits: Limits
    handling: Handling
    name: str
    output_type: OutputType | None
    selector: Selector | None
    tool_policy: ToolPolicy
    tool_references: bool
    coercion: Coercion | None
    variant: Variant
    journal: str | Path | Journal | None = field(default=None, repr=False)
    file: str | None = None
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    record: str | Path | None = None
    replay: str | Path | CassetteModel | None = None
