"""What pyproject.toml cannot say: a wheel carries the default recipe, the others and the demo inside `rvos_fusion`."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLED = ("pipeline.yaml", "recipes", "demo")


class BuildWithDemo(build_py):
    """Copies what `rvos demo` unpacks; an editable install reads it where it lies."""

    def run(self) -> None:
        """Build the packages, then put the files of the demo beside them."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # or a wheel would hold what an earlier build left there
        super().run()
        target = Path(self.build_lib) / "rvos_fusion" / "bundled"
        target.mkdir(parents=True)
        for name in BUNDLED:
            copy = shutil.copytree if Path(name).is_dir() else shutil.copyfile
            copy(name, target / name)


setup(cmdclass={"build_py": BuildWithDemo})
