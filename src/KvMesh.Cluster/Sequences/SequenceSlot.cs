using System.Collections.Concurrent;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// One sequence on this node: its head as last seen, and the line of commands that wait for it. Commands run one after the other in the
/// order in which they entered, so that appends that were sent back to back arrive in order.
/// </summary>
internal sealed class SequenceSlot
{
    private readonly Lock _lock = new();
    private Task _last = Task.CompletedTask;
    private int _waiting;
    private bool _isRetired;

    /// <summary>Whether <see cref="Head"/> is what the store had when it was last heard of. Touched by the command whose turn it is.</summary>
    public bool IsKnown { get; private set; }

    public SequenceHead? Head { get; private set; }

    public void Know(SequenceHead? head) => (IsKnown, Head) = (true, head);

    public void Forget() => (IsKnown, Head) = (false, null);

    /// <summary>Takes a place in the line. False: the slot is no longer in use, or the line is full.</summary>
    public bool TryEnter(out Turn turn, out bool isFull)
    {
        lock (_lock)
        {
            isFull = _waiting >= SequenceLimits.MaxWaitingCommands;
            turn = default;
            if (_isRetired || isFull)
            {
                return false;
            }

            _waiting++;
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            turn = new Turn(this, _last, done);
            _last = done.Task;
            return true;
        }
    }

    /// <summary>Takes the slot out of use unless somebody waits.</summary>
    public bool TryRetire()
    {
        lock (_lock)
        {
            _isRetired |= _waiting == 0;
            return _isRetired;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            _waiting--;
        }
    }

    /// <summary>A place in the line. Dispose it when the command is done.</summary>
    internal readonly struct Turn(SequenceSlot slot, Task before, TaskCompletionSource done) : IDisposable
    {
        /// <summary>Completes when those before are done.</summary>
        public Task Before => before;

        public void Dispose()
        {
            slot.Leave();
            done.TrySetResult();
        }
    }
}

/// <summary>The slots in use, and as many idle ones as are worth keeping.</summary>
internal sealed class SequenceSlots(int maxSlots)
{
    private readonly ConcurrentDictionary<SequenceId, SequenceSlot> _slots = new();

    public int Count => _slots.Count;

    /// <summary>Takes a place for a command. False: too many wait for this sequence.</summary>
    public bool TryEnter(SequenceId id, out SequenceSlot slot, out SequenceSlot.Turn turn)
    {
        while (true)
        {
            slot = _slots.GetOrAdd(id, static _ => new SequenceSlot());
            if (slot.TryEnter(out turn, out var isFull))
            {
                if (_slots.Count > maxSlots)
                {
                    Shrink();
                }

                return true;
            }

            if (isFull)
            {
                return false;
            }

            _slots.TryRemove(new KeyValuePair<SequenceId, SequenceSlot>(id, slot));
        }
    }

    /// <summary>Idle slots go in no particular order: a head that is missed costs one read.</summary>
    private void Shrink()
    {
        var surplus = (maxSlots / 8) + 1;
        foreach (var pair in _slots)
        {
            if (surplus == 0)
            {
                return;
            }

            if (pair.Value.TryRetire() && _slots.TryRemove(pair))
            {
                surplus--;
            }
        }
    }
}
