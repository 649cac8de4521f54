using KvMesh.Engine.Disk;

namespace KvMesh.Engine.Coding;

/// <summary>Aligned memory that is kept for the next who wants as much. Any thread.</summary>
/// <param name="most">Buffers that are kept.</param>
internal sealed class BufferPool(int most) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<AlignedBuffer> _idle = [];

    /// <summary>A buffer of at least so many bytes; what it holds is unknown.</summary>
    public AlignedBuffer Rent(int bytes)
    {
        lock (_lock)
        {
            var index = _idle.FindIndex(buffer => buffer.Length >= bytes);
            if (index >= 0)
            {
                var found = _idle[index];
                _idle.RemoveAt(index);
                return found;
            }
        }

        return new AlignedBuffer(bytes);
    }

    /// <summary>Gives a buffer back. When as many are kept already, the smallest goes.</summary>
    public void Return(AlignedBuffer buffer)
    {
        AlignedBuffer? surplus = null;
        lock (_lock)
        {
            _idle.Add(buffer);
            if (_idle.Count > most)
            {
                surplus = _idle.MinBy(idle => idle.Length)!;
                _idle.Remove(surplus);
            }
        }

        surplus?.Dispose();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _idle.ForEach(buffer => buffer.Dispose());
            _idle.Clear();
        }
    }
}
