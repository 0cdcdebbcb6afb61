"""Extensions with one planted bug each: some add, some wrap."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace

import pytest

from kube_provision_core import BootFragment, DriverConfig, File, Role, Stage, Step, hookimpl, option
from kube_provision_core.testing import ExtensionContract

from .part_bugs import part_bugs
from .planted import fails

FIXTURES = {}


class SoundConfig(DriverConfig):
    sound_extension_text: str = option("hello", per_role=True, help="What is said.")


class Sound:
    """Adds a file and a step, and a line to what others add."""

    Config = SoundConfig
    api_version = 1

    def __init__(self, config):
        self._config = config

    @hookimpl
    def render_boot(self, node, cluster):
        text = self._config[node.role].sound_extension_text
        return BootFragment(files=(File("/etc/sound", text),), steps=(Step("sound", Stage.FINISH, "cat /etc/sound"),))

    @hookimpl(wrapper=True, specname="render_boot")
    def change_boot(self, node):
        fragments = yield
        return [fragment and replace(fragment, files=tuple(map(self._changed, fragment.files))) for fragment in fragments]

    def _changed(self, file):
        return replace(file, content=f"{file.content}b: 2\n") if file.path == "/etc/contract.conf" else file


class Suite(ExtensionContract):
    Driver = Sound
    name = "sound-extension"

    @pytest.fixture
    def make_driver(self):
        return lambda: self.Driver(dict.fromkeys(Role, self.Driver.Config()))

    @pytest.fixture
    def secrets(self):
        return ("password-of-the-extension",)


def wrapping(change):
    """The extension, with another wrapper."""

    class Driver(Sound):
        @hookimpl(wrapper=True, specname="render_boot")
        def change_boot(self, node):
            fragments = yield
            return change(fragments)

    return Driver


def each(**change):
    """The extension, with other values in each part that has a secret file."""
    return wrapping(
        lambda found: [
            replace(it, **{name: value(getattr(it, name)) for name, value in change.items()})
            if any(file.secret for file in it.files)
            else it
            for it in found
        ]
    )


# --- what it is ----------------------------------------------------------------------------------------------------


@fails("test_constructor_does_no_io")
class ReachesOut(Sound):
    def __init__(self, config):
        super().__init__(config)
        socket.getaddrinfo("localhost", 80)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class LosesItsMark(Sound):
    def render_boot(self, node, cluster):
        return super().render_boot(node, cluster)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class MisspellsItsHook(Sound):
    @hookimpl
    def render_boots(self, node):
        return None


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class WantsWhatNoHookHas(Sound):
    @hookimpl
    def preflight(self, config):
        return []


@fails("test_declares_what_it_is")
class SpeaksAnotherVersion(Sound):
    api_version = 3


@fails("test_declares_what_it_is")
class HasNoConfig(Sound):
    class Config:
        model_fields = {}  # noqa: RUF012 - as pydantic has it


@fails("test_close_never_raises")
class CannotClose(Sound):
    @hookimpl
    def close(self):
        raise OSError("not open")


@fails("test_keys_begin_with_its_name")
class TakesAnotherName(Sound):
    class Config(DriverConfig):
        text: str = option("x", help="What is said.")


@fails("test_keys_begin_with_its_name")
class TakesANameThatBeginsSo(Sound):
    class Config(DriverConfig):
        sound_extensions: str = option("x", help="What is said.")


@fails("test_every_key_says_what_it_is_for")
class ExplainsNothing(Sound):
    class Config(DriverConfig):
        sound_extension_text: str = "x"


@fails("test_it_does_something")
class DoesNothing:
    Config = SoundConfig

    def __init__(self, config):
        pass


# --- what it adds --------------------------------------------------------------------------------------------------


# Its own wrapper would stumble over some of these before the check sees them.
globals().update(part_bugs(wrapping(lambda found: found), "password-of-the-extension"))


@fails("test_render_boot_is_a_function_of_its_arguments")
class CountsMachines(Sound):
    count = 0

    @hookimpl
    def render_boot(self, node, cluster):
        self.count += 1
        return BootFragment(files=(File("/etc/sound", str(self.count)),))


# --- what it wraps -------------------------------------------------------------------------------------------------


@fails("test_the_answers_of_others_stay_answers")
class ReturnsNothing(wrapping(lambda found: None)):
    pass


@fails("test_the_answers_of_others_stay_answers")
class ReturnsOneOfThem(wrapping(lambda found: found[0])):
    pass


@fails("test_the_answers_of_others_stay_answers")
class ReturnsTexts(wrapping(lambda found: [str(it) for it in found])):
    pass


@fails("test_the_answers_of_others_stay_answers")
class MakesFilesAList(each(files=list)):
    pass


@fails("test_nothing_of_others_is_lost")
class LosesOthers(wrapping(lambda found: [])):
    pass


@fails("test_nothing_of_others_is_lost")
class LosesComponents(each(components=lambda _: frozenset())):
    pass


@fails("test_nothing_of_others_is_lost")
class LosesFiles(each(files=lambda files: files[:1])):
    pass


@fails("test_nothing_of_others_is_lost")
class LosesSteps(each(steps=lambda _: ())):
    pass


@fails("test_nothing_of_others_is_lost")
class LosesCloudConfig(each(cloud_config=lambda _: {})):
    pass


@fails("test_what_is_secret_stays_secret")
class ShowsFiles(each(files=lambda files: tuple(File(it.path, it.content) for it in files))):
    pass


@fails("test_what_is_secret_stays_secret")
class OpensFiles(each(files=lambda files: tuple(replace(it, mode=0o644) for it in files))):
    pass


@fails("test_what_is_secret_stays_secret")
class CopiesASecret(each(files=lambda files: (*files, File("/etc/copy", files[1].content)))):
    pass


@fails("test_wrapping_is_the_same_every_time")
class WrapsByTheClock(each(files=lambda files: (*files, File("/etc/when", str(time.monotonic_ns()))))):
    pass


@fails("test_scripts_of_all_can_be_read")
class BreaksScripts(each(steps=lambda steps: tuple(replace(it, script=f"if {it.script}") for it in steps))):
    pass


@fails("test_packages_stay_packages")
class LosesPackages(Sound):
    @hookimpl(wrapper=True)
    def os_packages(self):
        packages = yield
        return replace(packages, names=packages.names[:1])


@fails("test_packages_stay_packages")
class ReturnsNoPackages(Sound):
    @hookimpl(wrapper=True)
    def os_packages(self):
        yield


@fails("test_packages_stay_packages")
class AnswersForTheSystem(Sound):
    @hookimpl(tryfirst=True)
    def os_packages(self, components):
        return {"names": components}


@fails("test_secrets_are_never_told")
class LogsWhatItWraps(
    wrapping(
        lambda found: (logging.getLogger("x").debug("%s", [it.content for part in found for it in part.files]), found)[1]
    )
):
    pass


@fails("test_secrets_are_never_told")
class ShowsItsPassword(Sound):
    def __repr__(self):
        return "Sound(password='password-of-the-extension')"


@fails("test_nothing_is_printed")
class Prints(wrapping(lambda found: (print("wrapped"), found)[1])):
    pass
