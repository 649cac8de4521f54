using KvMesh.Client;
using KvMesh.Client.SharedMemory;

namespace KvMesh.Worker.Devices;

/// <summary>
/// The arenas that a device copies from, registered when a block of theirs is first seen, and mapped for as long. A node that restarts brings another
/// arena. Any thread; dispose it before the device, when no copy is under way.
/// </summary>
public sealed class ArenaRegistrations(IDevice device) : IDisposable
{
    /// <summary>Arenas that are kept registered: those of the nodes of a machine, before and after a restart.</summary>
    private const int MaxArenas = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<nint, (ArenaHold Hold, IHostRegion Region)> _arenas = [];
    private bool _isDisposed;

    /// <summary>Why copies out of some arena are not direct; null: all are, as far as anything was copied.</summary>
    public string? Detour
    {
        get
        {
            lock (_lock)
            {
                return _arenas.Values.Select(arena => arena.Region.Detour).FirstOrDefault(reason => reason is not null);
            }
        }
    }

    /// <summary>Registers the arena of a block, unless it is registered or the block is not in one.</summary>
    public void Add(LeasedBlock block)
    {
        ArgumentNullException.ThrowIfNull(block);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (block.HoldArena() is not { } hold)
            {
                return;
            }

            if (_arenas.ContainsKey(hold.Start) || _arenas.Count == MaxArenas)
            {
                hold.Dispose();
                return;
            }

            _arenas.Add(hold.Start, (hold, device.Register(hold.Start, hold.Bytes, readOnly: true)));
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            foreach (var (hold, region) in _arenas.Values)
            {
                region.Dispose();
                hold.Dispose();
            }

            _arenas.Clear();
        }
    }
}
