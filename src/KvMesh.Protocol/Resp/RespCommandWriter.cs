using System.Buffers.Text;

namespace KvMesh.Protocol.Resp;

/// <summary>
/// Builds commands for a Redis server, one behind the other, for one send. The bytes of a large value are not copied: the caller
/// sends what was built up to <see cref="Length"/>, the value, and the rest as one gathered write. One thread at a time.
/// </summary>
public sealed class RespCommandWriter
{
    /// <summary>Most bytes of commands that wait for one send, large values apart.</summary>
    public const int MaxBytes = 1024 * 1024;

    private const int InitialBytes = 4 * 1024;
    private const int NumberLineBytes = 1 + RespInteger.MaxTextBytes + 2;

    private byte[] _buffer = new byte[InitialBytes];
    private int _used;

    /// <summary>Bytes built so far.</summary>
    public int Length => _used;

    /// <summary>What was built. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Built => _buffer.AsSpan(0, _used);

    /// <summary>Begins a command of <paramref name="arguments"/> arguments, its name included.</summary>
    public void Begin(int arguments) => AddNumberLine((byte)'*', arguments);

    public void Add(ReadOnlySpan<byte> argument)
    {
        BeginBulk(argument.Length);
        AddBytes(argument);
        EndBulk();
    }

    public void Add(long argument)
    {
        Span<byte> text = stackalloc byte[RespInteger.MaxTextBytes];
        Utf8Formatter.TryFormat(argument, text, out var bytes);
        Add(text[..bytes]);
    }

    /// <summary>Begins an argument whose bytes follow, some by <see cref="AddBytes"/>, some sent from elsewhere.</summary>
    public void BeginBulk(int bytes) => AddNumberLine((byte)'$', bytes);

    /// <summary>Adds bytes of the argument that was begun.</summary>
    public void AddBytes(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _used += bytes.Length;
    }

    /// <summary>Ends the argument that was begun.</summary>
    public void EndBulk() => AddBytes("\r\n"u8);

    /// <summary>Forgets what was built, and gives back what an unusually long command needed.</summary>
    public void Clear()
    {
        _used = 0;
        if (_buffer.Length > 16 * InitialBytes)
        {
            _buffer = new byte[InitialBytes];
        }
    }

    private void AddNumberLine(byte kind, long value)
    {
        var room = Room(NumberLineBytes);
        room[0] = kind;
        Utf8Formatter.TryFormat(value, room[1..], out var digits);
        room[digits + 1] = (byte)'\r';
        room[digits + 2] = (byte)'\n';
        _used += digits + 3;
    }

    private Span<byte> Room(int bytes)
    {
        if (_buffer.Length - _used < bytes)
        {
            if (_used + bytes > MaxBytes)
            {
                throw new InvalidOperationException($"Commands of {_used + bytes} bytes wait for one send; the limit is {MaxBytes}.");
            }

            Array.Resize(ref _buffer, Math.Max(_used + bytes, _buffer.Length * 2));
        }

        return _buffer.AsSpan(_used);
    }
}
