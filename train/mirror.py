"""A run folder that is mirrored on OBS: back to the host before training, to OBS after a save."""

import sys
from pathlib import Path
from typing import Optional

from common.cli import RequestError
from train.obs import call_moxing, host_lock, join, list_names, replaced_folder
from train.run_folder import CHECKPOINTS, CONFIG, HISTORY, PLAN


class Mirror:
    """The run folder ``run`` on this host and its like on OBS, ``target``.

    History is copied before the checkpoints, as the trainer writes it: lines of history behind the
    last whole checkpoint are taken back when the run goes on, missing ones would stay missing. A
    checkpoint counts once its ``.meta`` is beside it.
    """

    def __init__(self, run: Path, target: str):
        self.run, self.target = run, target
        self.failure: Optional[str] = None  # of the last attempt; None when all is on OBS
        self._sent: dict[str, tuple[int, int]] = {}  # file -> time and size when it was sent

    def check_unused(self) -> None:
        """RequestError when there is a run on OBS already; a plan alone is none."""
        used = {CONFIG, HISTORY, CHECKPOINTS}.intersection(list_names(self.target))
        if used:
            raise RequestError(f"--train_url {self.target} is in use (it holds {min(used)}); give "
                               "--resume to go on with that run, or another --train_url")

    def bring_back(self) -> None:
        """See that the run folder holds the newest epoch that OBS has.

        Nothing is brought when the folder here is as far or, since its last copies to OBS
        failed, further.

        Raises:
            RequestError: the folder here is another run's.
        """
        with host_lock(self.run):
            pairs = self._pairs_on_obs()
            if pairs and self._is_behind(pairs[-1]):
                self._bring(pairs)
        for pair in pairs:
            for name in map(str, pair):
                if (self.run / name).exists():
                    self._sent[name] = _signature(self.run / name)

    def after_save(self, run: Path) -> None:
        """Bring OBS up to date; a failure is a warning, so that it does not end the training."""
        try:
            self._send()
            self.failure = None
        except Exception as error:  # whatever it is, the files are safe here and it is told
            self.failure = f"{type(error).__name__}: {error}"
            print(f"warning: {run} could not be copied to {self.target}, which is tried again "
                  f"after the next save: {error}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Try once more what failed at the last save; RequestError when it fails again."""
        if self.failure is not None:
            self.after_save(self.run)
        if self.failure is not None:
            raise RequestError(f"the run is kept in {self.run} but {self.target} lacks its last "
                               f"files ({self.failure}); copy that folder there")

    def _pairs_on_obs(self) -> list[tuple[Path, Path]]:
        """Checkpoints on OBS that have their ``.meta``, oldest first, relative to the run."""
        names = [Path(CHECKPOINTS, name) for name in list_names(join(self.target, CHECKPOINTS))]
        whole = [name for name in names
                 if name.suffix == ".ckpt" and name.with_suffix(".meta") in names]
        return [(name, name.with_suffix(".meta")) for name in sorted(whole, key=_step)]

    def _is_behind(self, newest: tuple[Path, Path]) -> bool:
        there, here = self._history_on_obs(), b""
        if (self.run / HISTORY).exists():
            here = (self.run / HISTORY).read_bytes()
        if not here.startswith(there) and not there.startswith(here):
            raise RequestError(f"{self.run} holds another run than {self.target}; remove it or "
                               "give another --local_dir")
        # The trainer may shorten its history, to the checkpoint it goes on from, while other
        # ranks are still here.
        has_newest = all((self.run / name).exists() for name in newest)
        return not has_newest and len(here) <= len(there)

    def _history_on_obs(self) -> bytes:
        copy = self.run.with_name(f".{self.run.name}.{HISTORY}")
        if HISTORY not in list_names(self.target):
            return b""
        call_moxing("copy", join(self.target, HISTORY), str(copy))
        content = copy.read_bytes()
        copy.unlink()
        return content

    def _bring(self, pairs: list[tuple[Path, Path]]) -> None:
        print(f"copying the run {self.target} to {self.run}", flush=True)
        there = list_names(self.target)
        with replaced_folder(self.run) as folder:
            (folder / CHECKPOINTS).mkdir()
            for name in [name for pair in pairs for name in map(str, pair)] + [
                    name for name in (CONFIG, PLAN, HISTORY) if name in there]:
                call_moxing("copy", join(self.target, name), str(folder / name))

    def _send(self) -> None:
        for path in self._files():
            name, signature = path.relative_to(self.run).as_posix(), _signature(path)
            if self._sent.get(name) != signature:
                call_moxing("copy", str(path), join(self.target, name))
                self._sent[name] = signature
        self._remove_old()

    def _files(self) -> list[Path]:
        """What belongs on OBS, in the order of sending; hidden files are unfinished ones."""
        files = [path for path in self.run.rglob("*")
                 if path.is_file() and not path.name.startswith(".")]
        last = {".ckpt": 1, ".meta": 2}
        return sorted(files, key=lambda path: (last.get(path.suffix, 0), path))

    def _remove_old(self) -> None:
        """Remove the checkpoints that the trainer does not keep any more."""
        folder = join(self.target, CHECKPOINTS)
        for name in list_names(folder):
            is_ours = Path(name).suffix in (".ckpt", ".meta")
            if is_ours and not (self.run / CHECKPOINTS / name).exists():
                call_moxing("remove", join(folder, name))


def _signature(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.rsplit("_", 1)[1])
