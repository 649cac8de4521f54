using System.Buffers.Binary;
using System.Net;
using System.Text;
using KvMesh.Protocol.Sockets;

namespace KvMesh.LoadTest.Clients;

/// <summary>
/// One blocking connection to a cache, the same for all of them: commands from fixed buffers, values out of and into a private
/// 64 MiB of memory that is walked so that no value is cache-hot. One thread. The first and last 8 bytes of a value are its
/// number, and every GET checks them.
/// </summary>
internal sealed class CacheConnection : IDisposable
{
    private const int WalkBytes = 64 * 1024 * 1024;
    private const int SlackBytes = 128;

    private readonly StreamSocket _socket;
    private readonly int _valueBytes;
    private readonly int _depth;
    private readonly int _digitsInGet;
    private readonly int _digitsInSet;
    private readonly int _digitsInHit;
    private readonly byte[] _gets;
    private readonly byte[] _setHead;
    private readonly byte[] _setTail;
    private readonly byte[] _sets;
    private readonly byte[] _hitHead;
    private readonly byte[] _hitTail;
    private readonly byte[] _miss;
    private readonly byte[] _stored;
    private readonly byte[] _noRoom;
    private readonly byte[] _flush;
    private readonly byte[] _flushed;
    private readonly byte[] _walk;
    private int _position;

    /// <param name="depth">Commands sent before their replies are read; above 1 for small values only.</param>
    public CacheConnection(int port, ICacheDialect dialect, BenchKey key, int valueBytes, int depth)
    {
        _socket = StreamSocket.Connect(new IPEndPoint(IPAddress.Loopback, port), LoopConnection.Options(""));
        _valueBytes = valueBytes;
        _depth = depth;
        var get = dialect.Get(key.Template);
        _digitsInGet = get.AsSpan().IndexOf(key.Template) + key.DigitsOffset;
        _gets = [.. Enumerable.Repeat(get, depth).SelectMany(command => command)];
        _setHead = dialect.SetHead(key.Template, valueBytes);
        _digitsInSet = _setHead.AsSpan().IndexOf(key.Template) + key.DigitsOffset;
        _setTail = dialect.SetTail;
        _sets = depth > 1 ? new byte[depth * (_setHead.Length + valueBytes + _setTail.Length)] : [];
        _hitHead = dialect.HitHead(key.Template, valueBytes);
        var inHit = _hitHead.AsSpan().IndexOf(key.Template);
        _digitsInHit = inHit < 0 ? -1 : inHit + key.DigitsOffset;
        _hitTail = dialect.HitTail;
        _miss = dialect.Miss;
        _stored = dialect.Stored;
        _noRoom = dialect.NoRoom;
        _flush = dialect.Flush;
        _flushed = dialect.Flushed;
        var replyBytes = depth * (_hitHead.Length + valueBytes + _hitTail.Length + SlackBytes);
        _walk = GC.AllocateUninitializedArray<byte>(Math.Max(WalkBytes, replyBytes), pinned: true);
        _walk.AsSpan().Fill(0x5A);
    }

    public int ValueBytes => _valueBytes;

    /// <summary>Gets the keys first, first + step, … as many as the depth. False when the only one asked for is a miss.</summary>
    public bool TryGet(ReadOnlySpan<long> numbers)
    {
        var stride = _gets.Length / _depth;
        for (var i = 0; i < _depth; i++)
        {
            BenchKey.WriteDigits(_gets.AsSpan((i * stride) + _digitsInGet), numbers[i]);
        }

        _socket.Send(_gets);
        var replyBytes = _hitHead.Length + _valueBytes + _hitTail.Length;
        var reply = Walk(_depth * replyBytes);
        if (!TryReceive(reply))
        {
            return false;
        }

        for (var i = 0; i < _depth; i++)
        {
            Check(reply.Slice(i * replyBytes, replyBytes), numbers[i]);
        }

        return true;
    }

    /// <summary>Stores values under the keys. False when the cache said of one that it has no room for it, which memcached does while it evicts.</summary>
    public bool TrySet(ReadOnlySpan<long> numbers)
    {
        if (_depth == 1)
        {
            BenchKey.WriteDigits(_setHead.AsSpan(_digitsInSet), numbers[0]);
            var value = Walk(_valueBytes);
            Sign(value, numbers[0]);
            _socket.Send(_setHead, value, _setTail);
        }
        else
        {
            var place = _sets.AsSpan();
            for (var i = 0; i < _depth; i++)
            {
                BenchKey.WriteDigits(_setHead.AsSpan(_digitsInSet), numbers[i]);
                _setHead.CopyTo(place);
                Sign(place.Slice(_setHead.Length, _valueBytes), numbers[i]);
                _setTail.CopyTo(place[(_setHead.Length + _valueBytes)..]);
                place = place[(_setHead.Length + _valueBytes + _setTail.Length)..];
            }

            _socket.Send(_sets);
        }

        var areStored = true;
        for (var i = 0; i < _depth; i++)
        {
            areStored &= Expect(_stored);
        }

        return areStored;
    }

    public void Flush()
    {
        _socket.Send(_flush);
        Expect(_flushed);
    }

    public void Dispose() => _socket.Dispose();

    private static void Sign(Span<byte> value, long number)
    {
        BinaryPrimitives.WriteInt64LittleEndian(value, number);
        BinaryPrimitives.WriteInt64LittleEndian(value[^8..], number);
    }

    /// <summary>Receives exactly <paramref name="reply"/>. False when a miss came instead.</summary>
    private bool TryReceive(Span<byte> reply)
    {
        var received = 0;
        while (received < reply.Length)
        {
            received += ReceiveSome(reply[received..]);
            if (received == _miss.Length && reply.StartsWith(_miss))
            {
                return false;
            }
        }

        return true;
    }

    private int ReceiveSome(Span<byte> buffer) =>
        _socket.Receive(buffer) is var count && count > 0 ? count : throw new LoadTestException("The server closed the connection.");

    private void Check(ReadOnlySpan<byte> reply, long number)
    {
        if (_digitsInHit >= 0)
        {
            BenchKey.WriteDigits(_hitHead.AsSpan(_digitsInHit), number);
        }

        var value = reply.Slice(_hitHead.Length, _valueBytes);
        if (!reply.StartsWith(_hitHead) || !reply.EndsWith(_hitTail)
            || BinaryPrimitives.ReadInt64LittleEndian(value) != number || BinaryPrimitives.ReadInt64LittleEndian(value[^8..]) != number)
        {
            throw new LoadTestException($"The reply to the GET of key {number} is not its value: {Encoding.ASCII.GetString(reply[..Math.Min(60, reply.Length)])}");
        }
    }

    /// <summary>Receives the reply that is expected. False when it says that there is no room.</summary>
    private bool Expect(byte[] expected)
    {
        Span<byte> line = stackalloc byte[200];
        var received = 0;
        while (received < expected.Length)
        {
            received += ReceiveSome(line[received..expected.Length]);
        }

        if (line[..received].SequenceEqual(expected))
        {
            return true;
        }

        while (line[received - 1] != (byte)'\n' && received < line.Length)
        {
            received += ReceiveSome(line.Slice(received, 1));
        }

        return _noRoom.Length > 0 && line.StartsWith(_noRoom)
            ? false
            : throw new LoadTestException($"The server answered {Encoding.ASCII.GetString(line[..received])}");
    }

    private Span<byte> Walk(int bytes)
    {
        if (_position + bytes > _walk.Length)
        {
            _position = 0;
        }

        var part = _walk.AsSpan(_position, bytes);
        _position += (bytes + 63) & ~63;
        return part;
    }
}
