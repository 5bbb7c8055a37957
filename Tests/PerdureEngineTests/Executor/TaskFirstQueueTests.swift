import Testing

@testable import PerdureEngine

@Suite struct TaskFirstQueueTests {
    @Test func `jobs of different tasks are taken first in, first out`() {
        var queue = TaskFirstQueue<String>()
        queue.add("a1", of: 1)
        queue.add("b1", of: 2)
        queue.add("c1", of: 3)
        #expect([queue.takeNext(), queue.takeNext(), queue.takeNext(), queue.takeNext()] == ["a1", "b1", "c1", nil])
    }

    @Test func `the task that ran last goes on before others`() {
        var queue = TaskFirstQueue<String>()
        queue.add("a1", of: 1)
        queue.add("b1", of: 2)
        #expect(queue.takeNext() == "a1")
        queue.add("c1", of: 3)
        queue.add("a2", of: 1)
        #expect([queue.takeNext(), queue.takeNext(), queue.takeNext()] == ["a2", "b1", "c1"])
    }

    @Test func `jobs of no known task are taken first in, first out`() {
        var queue = TaskFirstQueue<String>()
        queue.add("first", of: 0)
        queue.add("second", of: 0)
        #expect(queue.takeNext() == "first")
        queue.add("third", of: 0)
        #expect([queue.takeNext(), queue.takeNext()] == ["second", "third"])
    }

    @Test func `no job is lost when a task has two of them`() {
        var queue = TaskFirstQueue<String>()
        queue.add("a1", of: 1)
        #expect(queue.takeNext() == "a1")
        queue.add("a2", of: 1)
        queue.add("a3", of: 1)
        #expect([queue.takeNext(), queue.takeNext(), queue.takeNext()] == ["a2", "a3", nil])
    }

    @Test func `a queue at rest has no task that goes first`() {
        var queue = TaskFirstQueue<String>()
        queue.add("a1", of: 1)
        #expect(queue.takeNext() == "a1")
        queue.rest()
        queue.add("b1", of: 2)
        queue.add("a2", of: 1)
        #expect([queue.takeNext(), queue.takeNext()] == ["b1", "a2"])
    }
}
