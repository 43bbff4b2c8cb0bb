"""Who is slow gets the latest of each, and never a growing heap."""

from latentloom.app.jobs.mailbox import Mailbox
from latentloom.app.jobs.wire import Job, JobMessage, NodeMessage, NodeState, QueueMessage


def node(id_: str, done: int, job: str = "j") -> NodeMessage:
    return NodeMessage(job=job, node=id_, state=NodeState(done=done))


def test_only_the_latest_of_each_is_kept():
    rings = []
    box = Mailbox(lambda: rings.append(1))
    for done in range(1000):
        box.put(node("a", done))
        box.put(node("b", done))
        box.put(JobMessage(job=Job(id="j", name="", submitted=0.0, progress=done / 1000)))
        box.put(QueueMessage(paused=False, jobs=[]))
    box.put(node("a", 5, job="other"))
    box.put(node("a", 1000))
    assert rings == [1] and len(box) == 5
    taken = box.take()
    assert [type(message).__name__ for message in taken] == [
        "NodeMessage",
        "JobMessage",
        "QueueMessage",
        "NodeMessage",
        "NodeMessage",
    ]
    assert taken[-1] == node("a", 1000) and taken[0] == node("b", 999)
    assert box.take() == []
    box.put(node("a", 1))
    assert rings == [1, 1]
