"""Ending signals, in real processes; C code takes over their handlers as MindSpore does."""

import os
import pty
import signal
import subprocess
import sys
import textwrap

import pytest

# What MindSpore does with each run of a graph: a handler of its own, set behind Python's back.
TAKE_OVER = "import ctypes; ctypes.CDLL(None).signal(2, 0); ctypes.CDLL(None).signal(15, 0)"


def start(body, **options):
    """Start a command whose main function has that body, and wait until it prints a line."""
    script = f"""
import hashlib, signal, sys, time
from common.cli import run_command
from common.signals import *
def main():
    note_kept_work("nothing was kept")
{textwrap.indent(textwrap.dedent(body), "    ")}
sys.exit(run_command(main))
"""
    process = subprocess.Popen([sys.executable, "-c", script], text=True,
                               **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
    assert process.stdout.readline() == "ready\n"
    return process


def end(process, number):
    process.send_signal(number)
    _, errors = process.communicate()
    return process.returncode, errors


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                          (signal.SIGHUP, 129)])
@pytest.mark.parametrize("setup", ["pass", f"take_signals_from_mindspore(); {TAKE_OVER}"])
def test_an_ending_signal_ends_a_waiting_command_with_its_note_and_code(number, code, setup):
    process = start(f"""
        {setup}
        note_kept_work("epoch 3 is kept")
        print("ready", flush=True)
        time.sleep(1000)
    """)
    assert end(process, number) == (code, "interrupted: epoch 3 is kept\n")


def test_the_main_thread_saves_its_work_if_it_has_any():
    body = """
        take_signals_from_mindspore()
        try:
            %s
                print("ready", flush=True)
                hashlib.pbkdf2_hmac("sha256", b"", b"", %d)  # a long call into a library
                time.sleep(1000)
        finally:
            print("saved", file=sys.stderr)
    """
    saving = end(start(body % ("with saving_work():", 1_000_000)), signal.SIGTERM)
    assert saving == (143, "saved\ninterrupted: nothing was kept\n")
    at_once = end(start(body % ("if True:", 2_000_000_000)), signal.SIGTERM)
    assert at_once == (143, "interrupted: nothing was kept\n")


def test_a_second_signal_does_not_wait_for_the_main_thread():
    process = start("""
        take_signals_from_mindspore()
        try:
            with saving_work():
                print("ready", flush=True)
                time.sleep(1000)
        finally:
            print("saving", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
    """)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saving\n"
    assert end(process, signal.SIGINT) == (130, "interrupted: nothing was kept\n")


def test_what_both_the_terminal_and_a_parent_send_counts_once():
    process = start("""
        try:
            print("ready", flush=True)
            time.sleep(1000)
        finally:
            print("ending", flush=True)
            time.sleep(0.5)
            print("ended", flush=True)
    """)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == "ended\n"
    assert end(process, 0) == (130, "interrupted: nothing was kept\n")


def test_a_signal_that_is_held_back_interrupts_after_the_body():
    process = start("""
        with holding_signals_back():
            print("ready", flush=True)
            sys.stdin.read()
            print("half-done no more", flush=True)
        time.sleep(1000)
    """, stdin=subprocess.PIPE)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.stdin.close()
    assert process.stdout.read() == "half-done no more\n"
    assert (process.wait(), process.stderr.read()) == (143, "interrupted: nothing was kept\n")


def test_processes_of_a_fork_server_can_be_ended_and_do_not_unblock_signals():
    """Ascend's compiler starts such processes while the signals are blocked."""
    process = start("""
        take_signals_from_mindspore()
        import multiprocessing
        child = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(1000,))
        child.start()
        child.terminate()
        child.join()
        print("ready", flush=True)
        print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """)
    assert process.stdout.read() == "True\n"


def test_signals_that_the_parent_has_blocked_are_heard():
    process = start("""
        print("ready", flush=True)
        time.sleep(1000)
    """, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))
    assert end(process, signal.SIGTERM)[0] == 143


@pytest.mark.parametrize("seconds, said", [(0.3, "epoch 3 is kept"), (1000, "not all work was")])
def test_what_is_kept_is_worked_out_at_the_signal_unless_a_second_one_comes(seconds, said):
    process = start(f"""
        take_signals_from_mindspore()
        note_kept_work(lambda: (print("saving", flush=True), time.sleep({seconds}),
                                "epoch 3 is kept")[-1])
        print("ready", flush=True)
        time.sleep(1000)
    """)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saving\n"
    code, errors = end(process, signal.SIGTERM if seconds == 1000 else 0)
    assert code == 143 and errors.startswith(f"interrupted: {said}")


@pytest.mark.parametrize("setup, failure", [
    ("pass", ""), ("take_signals_from_mindspore()", ""), ("pass", "raise OSError('full')")])
def test_a_closed_terminal_ends_a_command_that_can_print_nothing_any_more(setup, failure):
    terminal, stderr = pty.openpty()
    process = start(f"""
        {setup}
        print("ready", flush=True)
        sys.stdin.read()
        {failure}
        time.sleep(1000)
    """, stdin=subprocess.PIPE, stderr=stderr)
    os.close(stderr)
    os.close(terminal)
    if failure:
        process.stdin.close()
        assert process.wait() == 2
    else:
        process.send_signal(signal.SIGHUP)
        assert process.wait() == 129


def test_under_nohup_a_closed_terminal_ends_nothing():
    process = start("""
        take_signals_from_mindspore()
        print("ready", flush=True)
        time.sleep(1)
    """, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert end(process, signal.SIGHUP) == (0, "")
