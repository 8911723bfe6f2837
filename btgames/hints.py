"""What a tiny heat shows about a contestant's module or client, in sentences for its author. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from btgames.contract import SYSTEM_PATH
from btgames.report.figures import plain
from btgames.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from btgames.remains import Remains
    from btgames.result import Heat


@dataclass(frozen=True)
class Evidence:
    """All that is known of a heat whose command was run."""

    heat: Heat
    module: str  # the path of the contestant's module
    exits: bool  # what the module says: `Contestant.exits`
    yardstick: bool
    layout: tuple[tuple[str, int], ...]  # of the torrent: path and bytes
    tracker: str  # its announce address
    into: Remains  # what lay in the download directory
    desk: Remains  # what lay beside the torrent
    announces: tuple[Mapping[str, Any], ...]  # of the client host, as the referee tells them

    @property
    def finished(self) -> bool:
        """Whether the payload was right in the end."""
        return self.heat.outcome is Outcome.FINISHED

    @property
    def started(self) -> bool:
        """Whether the command ran at all."""
        return not self.heat.reason.startswith("could not be started")


def hints(evidence: Evidence) -> list[str]:
    """Return what the author should know, most telling first; nothing where all is as it should be."""
    if not evidence.started:
        return [f"programs are looked up in what was installed (venv/bin, bin), then in {SYSTEM_PATH}"]
    if evidence.heat.outcome is Outcome.CRASHED and not evidence.into.files and not evidence.announces:
        return ["it ended before it wrote or announced anything: its log may say why"]
    rules = (_stays, _elsewhere, _other_name, _too_early, _too_late, *_TRACKER)
    return [sentence for rule in rules if (sentence := rule(evidence))]


def _stays(evidence: Evidence) -> str:
    heat = evidence.heat
    if not (evidence.finished and evidence.exits and heat.exit_s is None):
        return ""
    return (
        f"the bytes were right, but it did not exit and was ended by {heat.ended_by}: if it seeds on for ever, write "
        f"EXITS = False in {evidence.module}, and no heat waits for it; else have it exit"
    )


def _elsewhere(evidence: Evidence) -> str:
    if evidence.finished or evidence.into.files:
        return ""
    if evidence.desk.wrong_pieces is not None or evidence.desk.blocks_right:
        return "it wrote beside the torrent, not into the download directory: pass `into` to it, or leave cwd alone"
    return "it wrote nothing into the download directory: does the command of download() pass `into` to it?"


def _other_name(evidence: Evidence) -> str:
    if evidence.finished or not evidence.into.files or evidence.into.wrong_pieces is not None:
        return ""
    wanted, wanted_bytes = evidence.layout[0]
    path, found_bytes = max(evidence.into.files, key=lambda file: file[1])
    words = f"it wrote {path} ({found_bytes} bytes), the torrent says {wanted} ({wanted_bytes} bytes)"
    if evidence.into.blocks_right == evidence.into.blocks:
        words += "; every byte in it is right"
    if path.rpartition("/")[2].startswith(wanted.rpartition("/")[2]):
        words += "; does it rename the file when it is done?"
    return words


def _too_early(evidence: Evidence) -> str:
    into, heat = evidence.into, evidence.heat
    if evidence.finished or heat.exit_s is None or heat.exit_status != 0 or into.wrong_pieces is None:
        return ""
    return (
        f"it exited with status 0 before its bytes were right ({heat.blocks_right} of {heat.blocks} blocks were): does "
        "it wait for its last pieces, check their hashes, and flush and close its files before it exits?"
    )


def _too_late(evidence: Evidence) -> str:
    if evidence.heat.outcome is not Outcome.TIMED_OUT or evidence.heat.first_block_s is None:
        return ""
    return (
        f"its first block was right after {evidence.heat.first_block_s:.2f} s, its last one never: where does it wait?"
    )


def _silent(evidence: Evidence) -> str:
    if evidence.yardstick or evidence.announces:
        return ""
    return f"the tracker saw no announce of it: it is at {evidence.tracker}, over HTTP and over UDP"


def _refused(evidence: Evidence) -> str:
    refused = [each for each in evidence.announces if each["status"] != "ok"]
    if not refused:
        return ""
    return (
        f"the tracker refused {len(refused)} of its {len(evidence.announces)} announces: {refused[0]['status']}; "
        f"it sent {refused[0]['info_hash'] or 'none'}, the torrent has {evidence.heat.info_hash}"
    )


def _portless(evidence: Evidence) -> str:
    served = [each for each in evidence.announces if each["status"] == "ok"]
    if not served or any(each["port"] is not None for each in served):
        return ""
    return "it announces without a port: the tracker tells nobody of it, which matters only to who wants to be found"


def _no_block(evidence: Evidence) -> str:
    served = any(each["status"] == "ok" for each in evidence.announces)
    arrived = evidence.into.blocks_right or evidence.desk.blocks_right or evidence.heat.first_block_s is not None
    if evidence.finished or not served or arrived:
        return ""
    return (
        "the tracker told it of the seeder, but not one right block came of it: look at how it reads the list of "
        "peers (compact, BEP 23, if it asks for that), at its handshake, and at what it does once unchoked"
    )


_TRACKER = (_silent, _refused, _portless, _no_block)


def log_lines(tail: str, count: int = 12) -> list[str]:
    """Return the last lines of a log that say something, as harmless text; their indentation stays."""
    lines = [line.expandtabs() for line in tail.splitlines() if line.strip()]
    return [" " * (len(line) - len(line.lstrip())) + plain(line) for line in lines[-count:]]
