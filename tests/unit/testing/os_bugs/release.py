"""Bugs in how it is looked which system a machine runs, and in the rest of `render_boot`."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import BootFragment

from ..part_bugs import changing, part_bugs
from ..planted import fails
from .sound import Sound


def looking(old, new):
    return changing(
        Sound, lambda it, _: replace(it, steps=tuple(replace(s, script=s.script.replace(old, new)) for s in it.steps))
    )


@fails("test_another_system_is_refused_before_anything_is_installed")
class TakesEverySystem(looking("exit 1", "exit 0")):
    pass


@fails("test_another_system_is_refused_before_anything_is_installed")
class DoesNotLook(changing(Sound, lambda it, _: BootFragment())):
    pass


@fails("test_another_system_is_refused_before_anything_is_installed")
class RefusesWithoutAWord(looking("echo", "true")):
    pass


@fails("test_another_release_is_refused")
class TakesEveryRelease(looking('"$ID:$VERSION_ID" = "${system[0]}:$release"', '"$ID" = "${system[0]}"')):
    pass


@fails("test_every_release_that_is_supported_is_taken")
class TakesOneReleaseAlone(looking("releases=(1 2)", "releases=(1)")):
    pass


@fails("test_a_machine_that_runs_another_system_is_given_up_at_once")
class TriesAgain(changing(Sound, lambda it, _: replace(it, steps=tuple(replace(s, attempts=5) for s in it.steps)))):
    pass


globals().update(part_bugs(Sound, "password-of-the-mirror"))
