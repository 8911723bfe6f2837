"""``seed``: seed a file of one's own from the seeder machine, and leave its torrent here."""

from __future__ import annotations

import ipaddress
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btgames import places, torrent
from btgames.by_hand import tracker
from btgames.by_hand.crew import failed, reached, say, the
from btgames.by_hand.unit import Unit
from btgames.by_hand.upload import SEND_S, upload
from btgames.errors import GamesError, HostError, UserError
from btgames.hosts import Agent
from btgames.report.figures import size
from btgames.swarm import READY_S, SEEDER_PORT, TRACKER_PORT
from btgames.testbeds.ssh import address_of
from btgames.testbeds.station import CACHE
from btgames.testbeds.wish import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btgames.cloud.stack import Fleet
    from btgames.testbeds.station import Station
    from btgames.testbeds.wish import Machines, Wish
    from btgames.torrent import Torrent

UNIT = "btgames-seeder"
FOLDER = f"{CACHE}/seeded"


def command(*, file: str | None, torrent: str, reach_me: bool, stop: bool, wish: Wish) -> int:
    """
    Seed a file; return 0.

    1. Reach tracker and seeder; start the tracker, if it does not run.
    2. Upload the file, hashing its pieces on the way, and make its torrent.
    3. Start the seeder, and wait until the tracker knows it and it answers.
    4. Leave the torrent here; with `reach_me`, open tracker and seeder to this computer's address.

    Raises:
        UserError: it cannot be; nothing is seeded then.

    """
    path = None if file is None else _readable(Path(file))
    if (path is None) is not stop:
        raise UserError("seed takes either --file FILE or --stop")
    machines = needed(wish, say, "seed")
    if reach_me and not machines.ours:
        raise UserError("--reach-me is for fleets of ours: who may come in to machines of your own is your business")
    if path is None:
        return _stop(machines, wish)
    kept = Path(torrent)
    if not kept.parent.is_dir():
        raise UserError(f"--torrent {torrent}: no such folder")
    with reached(the("tracker", machines), the("seeder", machines)) as (tracking, seeding):
        python = seeding.libtorrent(say)
        trackers = [tracker.started(tracking, machines)[0]]
        if reach_me:
            trackers.insert(0, f"http://{tracking.remote.address}:{TRACKER_PORT}/announce")
        with _nothing_left(seeding):
            made = _seeded(seeding, python, path, trackers)
            _wait_until_known(tracking, made, (address_of(seeding.remote), SEEDER_PORT))
            _write(kept, made.data)
            if reach_me:
                block = _caller(tracking)
                _reach(wish, block)
    say(f"{seeding.remote.name} seeds {made.name}, {size(made.size)}; {made.trackers[-1]} knows it")
    say(f"{kept}: {made.num_pieces} pieces of {made.piece_size >> 10} KiB, info hash {made.info_hash}")
    if reach_me:
        say(f"Tracker and seeder are open to {block}: any client of yours can take it, too.")
    say(f"Download it: {places.COMMAND} download --contestant NAME --torrent {shlex.quote(str(kept))}{wish.options}")
    say(f"End it: {places.COMMAND} seed --stop{wish.options}")
    return 0


def _readable(path: Path) -> Path:
    try:
        if path.is_file() and not path.stat().st_size:
            raise UserError(f"--file {path}: it is empty")
        path.open("rb").close()
        path.name.encode()
    except OSError as error:
        why = "one file is seeded, and this is a folder" if path.is_dir() else error.strerror
        raise UserError(f"--file {path}: {why}") from error
    except ValueError as error:
        raise UserError(f"--file {str(path)!r}: torrents take names in UTF-8") from error
    return path


def _seeded(station: Station, python: str, path: Path, trackers: list[str]) -> Torrent:
    """Have a file seeded, in the place of what was seeded before; return its torrent, as it is kept here."""
    end(station)
    sent, piece_size, pieces = upload(station, path, f"{FOLDER}/file/{path.name}")
    layout = [(path.name, sent)]
    # The seeder goes by the private address; a torrent's trackers are no part of its info hash.
    station.machine.put(torrent.make(trackers[-1:], layout, piece_size, pieces).data, f"{FOLDER}/torrent")
    where = ["--bind", address_of(station.remote), "--port", str(SEEDER_PORT)]
    argv = [python, "-m", "btgames.agents.seed_file", *where, "--folder", f"{FOLDER}/file"]
    Unit(station, UNIT).start([*argv, "--torrent", f"{FOLDER}/torrent"], writable=FOLDER)
    return torrent.make(trackers, layout, piece_size, pieces)


def _wait_until_known(station: Station, made: Torrent, seeder: tuple[str, int]) -> None:
    with Agent(station.machine, "probe") as probe:
        wanted: dict[str, Any] = {"tracker": made.trackers[-1], "info_hash": made.info_hash, "seeders": [seeder]}
        probe.ask("ready", **wanted, within_s=READY_S, timeout_s=2 * READY_S)


@contextmanager
def _nothing_left(station: Station) -> Iterator[None]:
    """Whatever goes wrong, have nothing seeded; failures become the user's errors."""
    try:
        yield
    except BaseException as error:
        end(station)
        if isinstance(error, HostError):
            raise failed(error, "nothing is seeded") from error
        raise


def end(station: Station) -> bool:
    """End the seeding, the uploaded file included; return whether there was any."""
    ran = Unit(station, UNIT).stop()
    station.machine.run(["rm", "-rf", "--", FOLDER], timeout_s=SEND_S)
    return ran


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}\nnothing is seeded") from error


def _stop(machines: Machines, wish: Wish) -> int:
    try:
        with reached(the("seeder", machines)) as (station,):
            ran = end(station)
            say(f"{station.remote.name}: {'the seeding has ended' if ran else 'nothing was seeded'}")
    except HostError as error:
        raise UserError(str(error)) from error
    finally:
        if machines.ours:
            _reach(wish, None)
    return 0


def _reach(wish: Wish, block: str | None) -> Fleet:
    """Open tracker and seeder of the fleet to a block, or close them."""
    from btgames.cloud import stack, up  # noqa: PLC0415 - fleets only

    return up.reach(stack.existing(wish.stack), block)


def _caller(station: Station) -> str:
    """
    Return this computer's address as the machine sees it, as a block of one.

    Raises:
        UserError: it cannot be told.

    """
    with station.line.channel("echo $SSH_CONNECTION") as channel:
        words = channel.makefile("rb").read().decode(errors="replace").split()
    try:
        return f"{ipaddress.IPv4Address(words[0])}/32"
    except (IndexError, ValueError) as error:
        raise failed(
            GamesError(f"{station.remote.name} cannot tell from where it is reached"), "--reach-me needs that"
        ) from error
