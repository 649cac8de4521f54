namespace KvMesh.Remote.Redis.Blocks;

/// <summary>The names that were added last, at most <see cref="Capacity"/>. Any thread.</summary>
internal sealed class RecentNames
{
    public const int Capacity = 4096;

    private readonly Lock _lock = new();
    private readonly HashSet<BlockName> _names = [];
    private readonly Queue<BlockName> _order = new();

    public void Add(BlockName name)
    {
        lock (_lock)
        {
            if (!_names.Add(name))
            {
                return;
            }

            _order.Enqueue(name);
            if (_order.Count > Capacity)
            {
                _names.Remove(_order.Dequeue());
            }
        }
    }

    public bool Contains(BlockName name)
    {
        lock (_lock)
        {
            return _names.Contains(name);
        }
    }
}
