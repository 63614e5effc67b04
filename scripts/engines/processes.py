"""Programs with a time limit: what they print, or one sentence about why they printed nothing of use."""

import os
import signal
import subprocess


class Failure(Exception):
    """Something could not be made or measured; the text says what and why in one line."""


def run(command, seconds, environment=None, folder=None):
    """Standard output of a program, run in a folder or in this one.

    It and what it started are ended, by their group's id, after `seconds`.
    """
    name = os.path.basename(command[0])
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True, cwd=folder,
            env={**os.environ, **(environment or {})})
    except OSError as error:
        raise Failure(f"{name} does not start: {error.strerror}") from None
    try:
        output, errors = process.communicate(timeout=seconds)
    except BaseException as error:  # Ctrl-C, too: nothing of ours may go on running
        end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failure(f"{name} took longer than {seconds} s") from None
        raise
    if process.returncode < 0:
        raise Failure(f"{name} was ended by {signal.Signals(-process.returncode).name}")
    if process.returncode > 0:
        raise Failure(f"{name} failed with {process.returncode}: {last_words(errors, output)}")
    return output


def end(process):
    """The process is not reaped yet, so that its id, which is its group's, is still its own."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def last_words(*texts):
    """What a failed program most likely wanted to say: its first line that begins with an error, or the last line."""
    for text in texts:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            named = [line for line in lines if line.lower().startswith("error")]
            return (named or lines[-1:])[0][:200]
    return "it said nothing"


def processor_seconds():
    """Seconds that all processors spent on anything (also for other virtual machines), and what is ours of them."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _, _, interrupts, soft_interrupts, steal = ticks
    busy = (user + nice + system + interrupts + soft_interrupts + steal) / os.sysconf("SC_CLK_TCK")
    times = os.times()
    return busy, times.user + times.system + times.children_user + times.children_system
