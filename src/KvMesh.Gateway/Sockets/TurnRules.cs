namespace KvMesh.Gateway.Sockets;

/// <summary>When a session has to give its thread back at the next command boundary. One instance for all connections of a host.</summary>
internal sealed class TurnRules
{
    /// <summary>How long a connection may keep its thread while others wait for one.</summary>
    public static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(20);

    private volatile bool _mustYield;
    private volatile WorkerPool? _pool;

    /// <summary>The host stops or hands over.</summary>
    public bool MustYield
    {
        get => _mustYield;
        set => _mustYield = value;
    }

    /// <summary>Connections wait for a thread and none is left.</summary>
    public bool IsCrowded => _pool is { IsStarved: true };

    public void Watch(WorkerPool pool) => _pool = pool;
}
