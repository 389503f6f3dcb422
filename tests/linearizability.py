"""Could what clients saw at once have come about one call after the other?

A history is linearizable if each call can be given one moment between its invocation and its return such that the
model, taking the calls in the order of their moments, returns what they returned. The search is that of Wing and Gong
("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was tried ("Testing for linearizability",
2017).
"""


def unexplained(calls, state, step, only_looks):
    """None if the calls are linearizable from the state; else what is left where the search came furthest.

    `step(state, call)` yields each (state, done) that may follow when the call takes effect; a call that is not done
    takes effect again. `only_looks(call)` is true if it changes no state whatever.
    """
    calls = sorted(calls, key=lambda call: call.invoked)
    furthest = everything = tuple(range(len(calls)))  # numbers of calls are quicker to compare than calls
    tried = set()
    stack = [(everything, state)]
    while stack:
        position = stack.pop()
        left, state = position
        if not left:
            return None
        if position in tried:
            continue
        tried.add(position)
        furthest = min(furthest, left, key=len)
        stack.extend(successors(calls, left, state, step, only_looks))
    return [calls[number] for number in furthest]


def successors(calls, left, state, step, only_looks):
    """What may follow one call more; a call that returned before another began comes first."""
    first_return = min(calls[number].returned for number in left)
    found = []
    for place, number in enumerate(left):
        if calls[number].invoked > first_return:
            break
        for following, done in step(state, calls[number]):
            rest = left[:place] + left[place + 1 :] if done else left
            if done and only_looks(calls[number]):
                return [(rest, state)]  # it may as well come now
            found.append((rest, following))
    return found
