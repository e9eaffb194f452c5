"""The `tinker-local` command: serve, list, rm, export, import, average."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from base_models import DEFAULT_BASE, on_one_line
from tinker_local import __version__
from tinker_local.engine.neighbours import chosen_spins
from tinker_local.errors import TinkerLocalError

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
KEPT_KERNELS = 600


def default_home() -> Path:
    """Where checkpoints live: TINKER_LOCAL_HOME, or the user's data directory."""
    chosen = os.environ.get("TINKER_LOCAL_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("tinker-local"))


def main(arguments: list[str] | None = None) -> None:
    """Run a command; problems end with one sentence on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except TinkerLocalError as error:
        print(on_one_line(f"{options.signed_as}: {error}"), file=sys.stderr)
        sys.exit(EXIT_REFUSED)


def _serve(options: argparse.Namespace) -> None:
    # Imported here so that --help and list do not wait for torch. The garbage collector would spend a seventh
    # of the start on what the imports make, and find nothing to free.
    gc.disable()
    _let_threads_sleep()
    _bound_kept_kernels()
    from tinker_local.server.launch import ServeOptions, launch

    gc.freeze()
    gc.enable()

    launch(
        ServeOptions(
            base_models=options.base_model or [DEFAULT_BASE],
            host=options.host,
            port=options.port,
            api_key=options.api_key,
            allowed_hosts=options.allow_host or [],
            home=options.home,
            adapters=options.adapters or [],
            exports=options.export_to,
            dtype=options.dtype,
            device=options.device,
            stop_with_stdin=options.stop_with_stdin,
        )
    )


def _let_threads_sleep() -> None:
    """Tell OpenMP, before torch loads it, how long its threads turn in circles before they sleep.

    The default of GNU's library is some milliseconds at each of a step's thousands of barriers. Where
    another program has the core that the thread waited for needs, that is time thrown away: see
    docs/engine.md, "Beside other programs". Other libraries pass this setting over.
    """
    if not (os.environ.get("GOMP_SPINCOUNT") or os.environ.get("OMP_WAIT_POLICY")):
        os.environ["GOMP_SPINCOUNT"] = str(chosen_spins())


def _bound_kept_kernels() -> None:
    """Tell oneDNN and torch's layer over it, before they are loaded, how many kernels to keep.

    Each length of text needs some forty of its own, which take megabytes together, and the default is 1,024
    in both: see docs/log.md, "Memory while training".
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        told = os.environ.get(name, "")
        # What is no number ends the process at its first large product, without a word.
        if not (told.isascii() and told.isdigit() and int(told) > 0):
            os.environ[name] = str(KEPT_KERNELS)


def _list(options: argparse.Namespace) -> None:
    from tinker_local.service.checkpoints import CheckpointStore

    found = sorted(CheckpointStore(options.home).list(), key=lambda info: info.created)
    for info in found:
        print(f"{info.created:%Y-%m-%d %H:%M}  {info.base_model}  rank {info.rank}  {info.path}")
    if not found:
        print(f"no checkpoints in {options.home}")


def _remove(options: argparse.Namespace) -> None:
    from tinker_local.service.checkpoints import CheckpointStore, parse_path

    for text in options.path:
        CheckpointStore(options.home).delete(parse_path(text))
        print(f"removed {text}")


def _export(options: argparse.Namespace) -> None:
    _let_threads_sleep()
    from tinker_local.export.command import run_export

    with _interrupted_by_every_signal():
        if options.stop_with_stdin:
            threading.Thread(target=_end_when_stdin_closes, daemon=True).start()
        run_export(
            path=options.path,
            form=options.to,
            quantize=options.quantize,
            output=options.output,
            home=options.home,
            adapters=options.adapters or [],
            prompts=options.prompts,
            card=options.card,
            checked=not options.unchecked,
            name=options.signed_as,
        )


@contextmanager
def _interrupted_by_every_signal() -> Generator[None, None, None]:
    """Have each signal to end clear away what was begun, and no second one end that."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> None:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_when_stdin_closes() -> None:
    # Read from the descriptor itself: the buffered stream would hold a lock that interpreter exit needs.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _import(options: argparse.Namespace) -> None:
    import re

    from tinker_local.importing import import_adapter

    path: Path = options.path
    stem = path.resolve().name.partition(".tar")[0].removesuffix(".tgz")
    name = options.name or "imported-" + re.sub(r"[^A-Za-z0-9_-]+", "-", stem)

    def tell(line: str) -> None:
        print(on_one_line(f"tinker-local is {line}"), file=sys.stderr, flush=True)

    done = import_adapter(path, options.home, name, options.base_model, tell)
    for note in done.notes:
        print(on_one_line(note))
    print(f"sample from {done.sampler_weights}, train on from {done.weights}, on {done.base_model}")


def _average(options: argparse.Namespace) -> None:
    from tinker_local.averaging import average_checkpoints
    from tinker_local.service.checkpoints import CheckpointStore

    def tell(line: str) -> None:
        print(on_one_line(f"tinker-local is {line}"), file=sys.stderr, flush=True)

    store = CheckpointStore(options.home, options.adapters or [])
    done = average_checkpoints(options.path, store, options.name, options.rank, tell)
    lost = f", which leaves out {done.lost:.1%} of the mean" if done.lost else ""
    print(f"rank {done.rank}{lost}")
    print(f"sample from {done.sampler_weights}, train on from {done.weights}, on {done.base_model}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinker-local", description="A Tinker-compatible server for one machine."
    )
    parser.add_argument("--version", action="version", version=f"tinker-local {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve_options(commands.add_parser("serve", help="serve base models over the Tinker API"))
    _add_list_options(commands.add_parser("list", help="list saved checkpoints"))
    _add_remove_options(commands.add_parser("rm", help="delete checkpoints"))
    _add_export_options(
        commands.add_parser(
            "export", help="write a checkpoint as other programs load it, checked by such a program"
        )
    )
    _add_import_options(
        commands.add_parser(
            "import", help="make a checkpoint of an adapter that PEFT, mlx-lm or hosted Tinker saved"
        )
    )
    _add_average_options(
        commands.add_parser(
            "average", help="make a checkpoint that changes each layer by the mean of what others change"
        )
    )
    return parser


def _add_serve_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--base-model",
        action="append",
        metavar="NAME|PATH",
        help=f"a folder, a GGUF file or a name (docs/models.md); may be repeated (default: {DEFAULT_BASE})",
    )
    command.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    command.add_argument(
        "--port", type=int, default=8765, help="port to bind, 0 for any free one (default: 8765)"
    )
    command.add_argument(
        "--api-key",
        default=os.environ.get("TINKER_LOCAL_API_KEY", "tml-local"),
        help="key that clients must send (default: TINKER_LOCAL_API_KEY, else tml-local)",
    )
    command.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="another name under which clients may ask, as of a proxy or container; may be repeated",
    )
    command.add_argument(
        "--dtype", choices=["auto", "float32", "bfloat16"], default="auto", help="type of the base weights"
    )
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    command.add_argument(
        "--adapters",
        action="append",
        type=Path,
        metavar="FOLDER",
        help="checkpoints from elsewhere to offer too, laid out as those of --home; may be repeated",
    )
    command.add_argument(
        "--export-to",
        type=Path,
        metavar="FOLDER",
        help="where save_weights_external leaves a PEFT folder of its name; nothing else is written there",
    )
    command.set_defaults(run=_serve)
    _add_stop_with_stdin(command)
    _add_common_options(command)


def _add_list_options(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_list)
    _add_common_options(command)


def _add_remove_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", nargs="+", metavar="tinker://...")
    command.set_defaults(run=_remove)
    _add_common_options(command)


def _add_export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", metavar="tinker://...")
    command.add_argument(
        "--to",
        required=True,
        choices=["peft", "hf", "gguf", "gguf-adapter"],
        help="the form (docs/export.md)",
    )
    command.add_argument(
        "--quantize",
        metavar="TYPE",
        help="how weights are stored: f32, f16, bf16, in gguf also q8_0 (default: hf f32, gguf f16)",
    )
    command.add_argument(
        "--output", type=Path, metavar="FOLDER", help="a new folder (default: named in exports/)"
    )
    command.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="what to check with: a text file with one prompt a line (default: eight general ones)",
    )
    command.add_argument(
        "--card", type=Path, metavar="FILE", help="Markdown for the beginning of the export's README.md"
    )
    command.add_argument(
        "--unchecked", action="store_true", help="write it without loading it in another program"
    )
    _add_adapters_option(command)
    command.set_defaults(run=_export)
    _add_stop_with_stdin(command)
    _add_common_options(command)


def _add_import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", type=Path, metavar="PATH", help="its folder, or an archive (.tar, .tar.gz)")
    command.add_argument("--name", help="the run in its tinker:// path (default: imported-FOLDER)")
    command.add_argument(
        "--base-model", metavar="NAME|PATH", help="the base it belongs on (default: the one it names)"
    )
    command.set_defaults(run=_import)
    _add_common_options(command)


def _add_average_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="the run in its tinker:// path")
    command.add_argument("path", nargs="+", metavar="tinker://...")
    command.add_argument(
        "--rank",
        type=_positive,
        help="its rank: the nearest to the mean that this rank allows (default: the sum, which is exact)",
    )
    _add_adapters_option(command)
    command.set_defaults(run=_average)
    _add_common_options(command)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _add_adapters_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--adapters",
        action="append",
        type=Path,
        metavar="FOLDER",
        help="checkpoints from elsewhere to look among, too, as for serve; may be repeated",
    )


def _add_stop_with_stdin(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="stop when standard input closes, so as to end with the parent",
    )


def _add_common_options(command: argparse.ArgumentParser) -> None:
    """What every command takes."""
    command.add_argument("--home", type=Path, default=default_home(), help="where checkpoints are kept")
    # The name of the command that a person gave, where another program calls this one.
    command.add_argument("--signed-as", default="tinker-local", help=argparse.SUPPRESS)
