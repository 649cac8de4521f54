using KvMesh.Engine;
using KvMesh.Engine.Progressive;

namespace KvMesh.Gateway.Native.Progressive;

/// <summary>The blocks that one connection writes by section. Belongs to the thread that runs the session.</summary>
internal sealed class OpenWrites
{
    private readonly Dictionary<ulong, ProgressiveWrite> _writes = [];
    private ulong _last;

    public int Count => _writes.Count;

    public ulong Add(ProgressiveWrite write)
    {
        _writes.Add(++_last, write);
        return _last;
    }

    public ProgressiveWrite? Find(ulong number) => _writes.GetValueOrDefault(number);

    public void Remove(ulong number) => _writes.Remove(number);

    /// <summary>Forgets those that ended without their writer, which may never ask for them again. False: there were none.</summary>
    public bool ForgetEnded()
    {
        var ended = _writes.Where(write => write.Value.IsEnded).Select(write => write.Key).ToList();
        ended.ForEach(number => _writes.Remove(number));
        return ended.Count > 0;
    }

    /// <summary>The connection ends: nobody will publish the rest.</summary>
    public void AbandonAll(BlockEngine engine)
    {
        foreach (var write in _writes.Values)
        {
            engine.Abandon(write);
        }

        _writes.Clear();
    }
}
