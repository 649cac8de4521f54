using KvMesh.Protocol.Native.Messages;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.SharedMemory;

/// <summary>
/// The arena that a client maps, once for all its connections: each further mapping would fault every page again. A node that restarts may
/// bring another file; leases on the old one keep it mapped.
/// </summary>
internal sealed class ArenaCache : IDisposable
{
    private readonly Lock _lock = new();
    private ArenaView? _current;

    /// <summary>The view of that arena. The descriptor stays the caller's.</summary>
    /// <exception cref="IOException">It cannot be mapped.</exception>
    public ArenaView Attach(in AttachResponse layout, SafeFileHandle file)
    {
        lock (_lock)
        {
            if (_current is not null && _current.Layout == layout)
            {
                return _current;
            }

            var view = ArenaView.Map(layout, file);
            _current?.Dispose();
            return _current = view;
        }
    }

    public void Dispose() => _current?.Dispose();
}
