import threading

from launcher.driver.announcements import Announcements


def test_the_number_of_announcements_is_returned_at_once_if_it_is_new():
    announcements = Announcements()
    assert announcements.wait(-1, timeout_s=20) == 0
    announcements.notify_hosts_updated(1, None)
    announcements.notify_hosts_updated(2, None)
    assert announcements.wait(0, timeout_s=20) == 2


def test_a_wait_without_an_announcement_ends_with_its_time():
    assert Announcements().wait(0, timeout_s=0.01) == 0


def test_a_wait_ends_with_the_next_announcement():
    announcements = Announcements()
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(announcements.wait(0, timeout_s=20)))
    waiting.start()
    announcements.notify_hosts_updated(1, None)
    waiting.join(20)
    assert found == [1]
