// Package fifo has a queue that keeps its memory: one that is never empty for long
// does not allocate.
package fifo

import "slices"

// Queue is a queue of values in the order of arrival. The zero Queue is empty.
type Queue[T any] struct {
	values []T
	first  int // values before it have left
}

// Values are the values in the queue. The slice is valid until the next change.
func (q *Queue[T]) Values() []T { return q.values[q.first:] }

// Len is the number of values in the queue.
func (q *Queue[T]) Len() int { return len(q.values) - q.first }

// Push adds a value at the end.
func (q *Queue[T]) Push(v T) {
	if len(q.values) == cap(q.values) && q.first > len(q.values)/2 {
		n := copy(q.values, q.values[q.first:])
		clear(q.values[n:])
		q.values, q.first = q.values[:n], 0
	}
	q.values = append(q.values, v)
}

// Pop removes the first value. The queue must not be empty.
func (q *Queue[T]) Pop() T {
	v := q.values[q.first]
	clear(q.values[q.first : q.first+1]) // so that its memory can be collected
	q.first++
	return v
}

// Delete removes value i of Values.
func (q *Queue[T]) Delete(i int) {
	if i == 0 {
		q.Pop()
		return
	}
	i += q.first
	q.values = slices.Delete(q.values, i, i+1)
}

// Clone gives an independent copy.
func (q *Queue[T]) Clone() Queue[T] { return Queue[T]{values: slices.Clone(q.Values())} }
