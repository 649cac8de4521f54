using System.Diagnostics;

namespace KvMesh.Gateway.Resp;

/// <summary>
/// What was received and not yet consumed: the current request from its first byte, and whatever came behind it. It grows for
/// a request that does not fit and shrinks again when that is consumed.
/// </summary>
internal sealed class RespInput(RespBufferPool pool, int maxBytes)
{
    private byte[] _buffer = [];
    private int _start;
    private int _end;

    public ReadOnlySpan<byte> Unread => _buffer.AsSpan(_start, _end - _start);

    public bool IsEmpty => _start == _end;

    /// <summary>Takes a buffer if there is none.</summary>
    public void Open()
    {
        if (_buffer.Length == 0)
        {
            _buffer = pool.Rent();
        }
    }

    /// <summary>Gives the buffer back. What is unread is lost.</summary>
    public void Close()
    {
        if (_buffer.Length == RespBufferPool.BufferBytes)
        {
            pool.Return(_buffer);
        }

        _buffer = [];
        _start = _end = 0;
    }

    public void Consume(int bytes)
    {
        _start += bytes;
        Debug.Assert(_start <= _end, "More was consumed than received.");
        if (_start == _end)
        {
            _start = _end = 0;
            if (_buffer.Length > RespBufferPool.BufferBytes)
            {
                _buffer = pool.Rent();
            }
        }
    }

    /// <summary>Room behind what is unread; empty when the request is longer than a connection may send.</summary>
    public Span<byte> Room()
    {
        if (_end == _buffer.Length)
        {
            MakeRoom();
        }

        return _buffer.AsSpan(_end);
    }

    public void Received(int bytes) => _end += bytes;

    /// <summary>
    /// Takes up to <paramref name="destination"/>'s length out of the unread bytes from <paramref name="position"/> on, and closes the gap.
    /// </summary>
    public int Take(int position, Span<byte> destination)
    {
        var from = _start + position;
        var count = Math.Min(_end - from, destination.Length);
        _buffer.AsSpan(from, count).CopyTo(destination);
        CloseGap(from, count);
        return count;
    }

    /// <summary>As <see cref="Take"/>, into nowhere.</summary>
    public int Skip(int position, int bytes)
    {
        var from = _start + position;
        var count = Math.Min(_end - from, bytes);
        CloseGap(from, count);
        return count;
    }

    private void CloseGap(int from, int count)
    {
        _buffer.AsSpan(from + count, _end - from - count).CopyTo(_buffer.AsSpan(from));
        _end -= count;
    }

    private void MakeRoom()
    {
        var unread = _end - _start;
        if (_start > 0)
        {
            Unread.CopyTo(_buffer);
        }
        else if (_buffer.Length < maxBytes)
        {
            var larger = GC.AllocateUninitializedArray<byte>(Math.Min(maxBytes, _buffer.Length * 2));
            Unread.CopyTo(larger);
            Close();
            _buffer = larger;
        }

        _start = 0;
        _end = unread;
    }
}
