"""Requests of one browser at the same time."""

from browsers import WAIT, let_it_load

ROUNDS = 3


def test_twenty_parallel_requests_that_each_set_another_key_all_keep_it(application, visitor):
    expected = visitor.data()
    for number in range(ROUNDS):
        keys = {f"key {number} {tab}": f"value {tab}" for tab in range(20)}
        visitor.everywhere("POST", [("/set", {"key": key, "value": keys[key], "wait": 50}) for key in keys])
        expected |= keys
        assert visitor.data() == expected
    assert application.rows() == 1


def test_of_the_sessions_that_parallel_first_visits_begin_the_browser_keeps_one(browser):
    browser.everywhere("POST", [("/set", {"key": str(tab), "value": "x"}) for tab in range(6)])
    assert set(browser.data().values()) == {"x"}


def test_what_one_tab_unsets_another_does_not_bring_back(visitor):
    keys = {f"key {tab}": "x" for tab in range(8)}
    visitor.everywhere("POST", [("/set", {"key": key, "value": "x"}) for key in keys])
    gone, stay = list(keys)[:4], list(keys)[4:]
    under_way = [visitor.later("POST", "/set", key=key, value="y", wait=WAIT) for key in stay]
    visitor.everywhere("POST", [("/unset", {"key": key}) for key in gone])
    assert [answer.result().status_code for answer in under_way] == [200] * 4
    assert visitor.data() == {"cart": "umbrella"} | dict.fromkeys(stay, "y")


def test_of_tabs_that_set_the_same_key_one_has_its_value_kept(visitor):
    visitor.everywhere("POST", [("/set", {"key": "key", "value": str(tab), "wait": 50}) for tab in range(8)])
    assert visitor.data().pop("key") in map(str, range(8))


def test_a_flash_message_is_shown_once(visitor):
    visitor.post("/flash", message="saved")
    assert visitor.get("/flash") == {"message": "saved"}
    assert visitor.get("/flash") == {"message": None}
    assert visitor.data() == {"cart": "umbrella"}


def test_a_flash_message_is_shown_by_one_of_the_parallel_tabs(visitor):
    for number in range(ROUNDS):
        visitor.post("/flash", message=f"saved {number}")
        said = visitor.everywhere("GET", [("/flash", {})] * 5)
        shown = [answer["message"] for answer in said if answer["message"] is not None]
        assert shown == [f"saved {number}"]
        assert visitor.get("/flash") == {"message": None}


def test_a_flash_message_that_was_shown_stays_away_when_other_tabs_save_late(visitor):
    visitor.post("/flash", message="saved")
    under_way = visitor.later("POST", "/set", key="late", value="x", wait=WAIT)
    let_it_load()
    assert visitor.get("/flash") == {"message": "saved"}
    assert under_way.result().status_code == 200
    assert visitor.get("/flash") == {"message": None}
    assert visitor.data() == {"cart": "umbrella", "late": "x"}
