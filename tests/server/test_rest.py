"""RestClient and the `tinker` command line see what there is, and housekeeping works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import tinker
from click.testing import CliRunner
from tinker.cli.__main__ import main_cli

from symptoms.service import LocalServer


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[tinker.ServiceClient]:
    with tinker.ServiceClient(
        base_url=server.url, api_key=server.api_key, user_metadata={"who": "test"}, display_name="rest"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def rest(server: LocalServer) -> tinker.RestClient:
    return tinker.RestClient(base_url=server.url, api_key=server.api_key)


@pytest.fixture
def saved(client: tinker.ServiceClient, server: LocalServer) -> tuple[str, str, str]:
    """A run with one checkpoint to continue from and one to sample: (run id, path, sampler path)."""
    training = client.create_lora_training_client(
        base_model=server.base_model, rank=2, train_unembed=False, user_metadata={"note": "a"}
    ).result()
    state = training.save_state("state", user_metadata={"step": "0"}, ttl_seconds=7200).result().path
    sampler = training.save_weights_for_sampler("sampler").result().path
    return training.model_id, state, sampler


def test_runs_and_checkpoints_are_listed(
    rest: tinker.RestClient, saved: tuple[str, str, str], server: LocalServer
):
    """A run is found in the list, by its id and by a path, with both of its newest checkpoints."""
    run_id, state, sampler = saved
    listed = rest.list_training_runs(limit=1000).result()
    assert listed.training_runs[0].training_run_id == run_id
    assert listed.cursor.total_count == len(listed.training_runs)
    run = rest.get_training_run_by_tinker_path(state).result()
    assert run == rest.get_training_run(run_id).result()
    assert (run.base_model, run.lora_rank, run.user_metadata) == (server.base_model, 2, {"note": "a"})
    assert run.last_checkpoint is not None
    assert run.last_sampler_checkpoint is not None
    assert (run.last_checkpoint.tinker_path, run.last_sampler_checkpoint.tinker_path) == (state, sampler)
    found = rest.list_checkpoints(run_id).result().checkpoints
    assert {one.tinker_path for one in found} == {state, sampler}
    assert {one.checkpoint_type for one in found} == {"training", "sampler"}
    assert all(one.size_bytes for one in found)


def test_pages_cover_everything_once(rest: tinker.RestClient, saved: tuple[str, str, str]):
    """Pages of seven put together are the whole list, however many checkpoints there are."""
    whole = rest.list_user_checkpoints(limit=1000).result()
    assert whole.cursor is not None
    assert len(whole.checkpoints) == whole.cursor.total_count
    pages = [
        rest.list_user_checkpoints(limit=7, offset=offset).result().checkpoints
        for offset in range(0, whole.cursor.total_count, 7)
    ]
    assert [one for page in pages for one in page] == whole.checkpoints


def test_time_to_live_is_kept_changed_and_removed(rest: tinker.RestClient, saved: tuple[str, str, str]):
    """A checkpoint's expiry is that of the save, then that of the change, then none."""
    run_id, state, _ = saved

    def expiry() -> datetime | None:
        return next(
            one.expires_at
            for one in rest.list_checkpoints(run_id).result().checkpoints
            if one.tinker_path == state
        )

    first = expiry()
    assert first is not None
    assert abs(first - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    rest.set_checkpoint_ttl_from_tinker_path(state, 86400).result()
    second = expiry()
    assert second is not None
    assert second - first > timedelta(hours=20)
    rest.set_checkpoint_ttl_from_tinker_path(state, None).result()
    assert expiry() is None
    with pytest.raises(tinker.BadRequestError, match="ttl_seconds"):
        rest.set_checkpoint_ttl_from_tinker_path(state, 5).result()


def test_weights_info_and_delete(rest: tinker.RestClient, saved: tuple[str, str, str], server: LocalServer):
    """A checkpoint tells what it needs; once deleted it is gone, for a second delete too."""
    run_id, state, _ = saved
    info = rest.get_weights_info_by_tinker_path(state).result()
    assert (info.base_model, info.lora_rank, info.train_unembed, info.train_mlp) == (
        server.base_model, 2, False, True,
    )  # fmt: skip
    rest.delete_checkpoint_from_tinker_path(state).result()
    left = rest.list_checkpoints(run_id).result().checkpoints
    assert state not in {one.tinker_path for one in left}
    with pytest.raises(tinker.NotFoundError):
        rest.delete_checkpoint_from_tinker_path(state).result()


def test_sessions_tell_what_they_made(
    rest: tinker.RestClient, client: tinker.ServiceClient, saved: tuple[str, str, str], server: LocalServer
):
    """A session lists its runs, samplers, name and metadata, and is gone once it is closed."""
    run_id, _, sampler = saved
    session_id = run_id.split(":", maxsplit=1)[0]
    client.create_sampling_client(model_path=sampler).result()
    session = rest.get_session(session_id).result()
    assert run_id in session.training_run_ids
    assert session.sampler_ids
    assert (session.display_name, session.user_metadata) == ("rest", {"who": "test"})
    assert session_id in rest.list_sessions(limit=100).result().sessions
    with tinker.ServiceClient(base_url=server.url, api_key=server.api_key) as other:
        brief = other.create_lora_training_client(base_model=server.base_model, rank=1).result().model_id
        assert rest.get_training_run(brief).result().training_run_id == brief
    with pytest.raises(tinker.NotFoundError):
        rest.get_session(brief.split(":", maxsplit=1)[0]).result()
    with pytest.raises(tinker.NotFoundError):
        rest.get_training_run(brief).result()


def test_what_makes_no_sense_here_is_refused_at_once(rest: tinker.RestClient, saved: tuple[str, str, str]):
    """Publishing, billing and the like end in one sentence that says why."""
    _, state, sampler = saved
    with pytest.raises(tinker.BadRequestError, match="nothing to publish"):
        rest.publish_checkpoint_from_tinker_path(sampler).result()
    with pytest.raises(tinker.BadRequestError, match="nothing to publish"):
        rest.unpublish_checkpoint_from_tinker_path(sampler).result()
    with pytest.raises(tinker.BadRequestError, match="no accounts"):
        rest.assign_session_project("x", "y").result()
    with pytest.raises(tinker.NotFoundError, match="no training run"):
        rest.get_training_run("none:train:0").result()
    with pytest.raises(tinker.BadRequestError, match="limit"):
        rest.list_training_runs(limit=0).result()
    assert rest.get_weights_info_by_tinker_path(state).result()


def test_the_tinker_command_line(server: LocalServer, saved: tuple[str, str, str]):
    """`tinker run list`, `run info`, `checkpoint list` and `checkpoint delete` work unmodified."""
    run_id, state, sampler = saved
    account = {"TINKER_BASE_URL": server.url, "TINKER_API_KEY": server.api_key}
    done = subprocess.run(
        [sys.executable, "-m", "tinker.cli", "--format", "json", "run", "list"],
        env={**os.environ, **account},
        capture_output=True,
        text=True,
        check=False,
    )
    # SDK 0.38.0's process aborts now and then as it ends, when all is done and printed.
    assert done.returncode in (0, -signal.SIGABRT), done.stderr + done.stdout
    assert run_id in done.stdout

    def command(*arguments: str) -> str:
        """Another one, in this process, which has imported what takes most of its time."""
        done = CliRunner().invoke(main_cli, ["--format", "json", *arguments], input="y\n", env=account)
        assert done.exit_code == 0, done.output
        return done.stdout

    assert json.loads(command("run", "info", run_id))
    assert state in command("checkpoint", "list", "--run-id", run_id)
    command("checkpoint", "delete", sampler, "--yes")
    assert sampler not in command("checkpoint", "list", "--run-id", run_id)
