using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Map;

/// <summary>
/// The numbers by which the map names nodes: one for each run of a node. When a run is over its number dies at once, and everything said
/// of it with it, in one write; the number is given to another only after the last entry with it was swept. Any thread.
/// </summary>
internal sealed class MapNodes
{
    private readonly Lock _lock = new();
    private readonly byte[] _living = new byte[ushort.MaxValue + 1];
    private readonly byte[] _marks = new byte[ushort.MaxValue + 1];
    private readonly NodeRecord?[] _records = new NodeRecord?[ushort.MaxValue + 1];
    private readonly Dictionary<NodeId, ushort> _numbers = [];
    private readonly Queue<ushort> _free = new();
    private readonly List<ushort> _dead = [];
    private int _used;

    /// <summary>1 for each number that is a node's; indexed by number.</summary>
    public ReadOnlySpan<byte> Living => _living;

    /// <summary>The number of the current run of a node; 0 when it has none, or no number is left.</summary>
    public ushort NumberOf(NodeId node)
    {
        lock (_lock)
        {
            return _numbers.GetValueOrDefault(node);
        }
    }

    /// <summary>Who a number is, or null when its run is over.</summary>
    public NodeRecord? RecordOf(ushort number) => Volatile.Read(ref _records[number]);

    /// <summary>Gives the run of a node its number. A run with another incarnation ends an earlier one of the same node.</summary>
    public ushort Join(NodeRecord record)
    {
        lock (_lock)
        {
            if (_numbers.TryGetValue(record.Id, out var number))
            {
                if (_records[number]!.Incarnation == record.Incarnation)
                {
                    _records[number] = record;
                    return number;
                }

                End_NeedsLock(number);
            }

            if (!_free.TryDequeue(out number))
            {
                if (_used == ushort.MaxValue)
                {
                    return 0;
                }

                number = (ushort)++_used;
            }

            _numbers[record.Id] = number;
            _records[number] = record;
            Volatile.Write(ref _living[number], 1);
            return number;
        }
    }

    /// <summary>Ends the run that has this number. False when it is over already.</summary>
    public bool End(ushort number)
    {
        lock (_lock)
        {
            if (_records[number] is null)
            {
                return false;
            }

            End_NeedsLock(number);
            return true;
        }
    }

    /// <summary>The mark that new locations of a node carry.</summary>
    public int MarkOf(ushort number) => Volatile.Read(ref _marks[number]);

    /// <summary>Changes the mark: what carries another one by the end of a snapshot was not seen in it.</summary>
    public void NextMark(ushort number) => Volatile.Write(ref _marks[number], (byte)((_marks[number] + 1) % MapLocation.MarkCount));

    /// <summary>Numbers that died since they were last swept. Give them back to <see cref="Release"/>.</summary>
    public IReadOnlyList<ushort> TakeDead()
    {
        lock (_lock)
        {
            ushort[] dead = [.. _dead];
            _dead.Clear();
            return dead;
        }
    }

    /// <summary>No entry names these numbers any more.</summary>
    public void Release(IReadOnlyList<ushort> numbers)
    {
        lock (_lock)
        {
            foreach (var number in numbers)
            {
                _marks[number] = 0;
                _free.Enqueue(number);
            }
        }
    }

    private void End_NeedsLock(ushort number)
    {
        Volatile.Write(ref _living[number], 0);
        _numbers.Remove(_records[number]!.Id);
        Volatile.Write(ref _records[number], null);
        _dead.Add(number);
    }
}
