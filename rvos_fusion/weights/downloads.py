"""One file of a hub, fetched by the hub's library and compared with its checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from rvos.errors import InputError, StoreError
from rvos.files.atomic import hash_file

PARTS = ".parts"
"""The folder of what is not whole yet, beside the files."""
_NEEDS_ACCESS = (401, 403)
_SHA256, _BLOB = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


def download(repository: str, file: str, target: Path) -> None:
    """Bring one file of a repository to a folder.

    Raises:
        InputError: not to be had, offline mode, or damaged on the way.
        StoreError: the folder cannot be written.
    """
    # Late: the library is slow to load, and reads the environment then (HF_HUB_OFFLINE, HF_ENDPOINT, proxies).
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled

    where = f"{constants.ENDPOINT}/{repository}: {file}"
    try:
        _fetch(repository, file, target)
    except OfflineModeIsEnabled:
        raise InputError(
            f"{where}: offline mode (HF_HUB_OFFLINE), and it is not in {target}; copy it there, or fetch it when online"
        ) from None
    except EntryNotFoundError:
        raise InputError(f"{where}: no such file there any more; open the address and look for it") from None
    except HfHubHTTPError as error:
        if error.response.status_code in _NEEDS_ACCESS:
            raise InputError(
                f"{where}: refused, these files want an account that has accepted their licence; accept it at "
                f"{constants.ENDPOINT}/{repository}, then run `hf auth login` or set HF_TOKEN"
            ) from None
        raise InputError(f"{where}: refused ({_shorten(error)}); open the address in a browser") from None
    except OSError as error:
        raise StoreError(
            f"{target / file}: cannot be fetched ({error.strerror or _shorten(error)}); run it again"
        ) from None
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):  # whichever of its generations the library uses
            raise
        raise InputError(f"{where}: no connection ({_shorten(error)}); run it again") from None


def _fetch(repository: str, file: str, target: Path) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    url = hf_hub_url(repository, file)
    etag = get_hf_file_metadata(url).etag or ""
    checksum: Callable[[Path], str] | None = None  # where the hub names the file by none
    if _SHA256.fullmatch(etag):
        checksum = hash_file
    elif _BLOB.fullmatch(etag):
        checksum = _hash_blob
    if checksum is not None and (target / file).is_file() and checksum(target / file) == etag:
        return
    part = Path(hf_hub_download(repository, file, local_dir=target / PARTS))
    if checksum is not None and checksum(part) != etag:
        part.unlink()
        raise InputError(f"{url}: damaged on the way (its checksum is not {etag}); run it again to fetch it anew")
    (target / file).parent.mkdir(parents=True, exist_ok=True)
    part.replace(target / file)


def _hash_blob(path: Path) -> str:
    """Return the name that git gives a file."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
