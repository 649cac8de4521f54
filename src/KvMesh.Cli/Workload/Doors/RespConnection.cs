using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.Cli.Workload.Doors;

/// <summary>
/// One connection of a strict RESP2 client: one command in flight, exactly the replies that LMCache's native client accepts,
/// values straight into the caller's memory. After any exception the connection is out of step and only good for disposal.
/// </summary>
internal sealed class RespConnection : IDisposable
{
    private static readonly byte[] LineEnd = "\r\n"u8.ToArray();

    private readonly Socket _socket;
    private readonly TimeSpan _timeout;
    private readonly byte[] _received = new byte[4096];
    private readonly byte[] _head = new byte[2048];
    private int _start;
    private int _end;

    private RespConnection(Socket socket, TimeSpan timeout)
    {
        _socket = socket;
        _timeout = timeout;
    }

    public static async ValueTask<RespConnection> ConnectAsync(
        DnsEndPoint endpoint, string? token, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var connection = new RespConnection(socket, timeout);
        try
        {
            await connection.WithinAsync(limit => socket.ConnectAsync(endpoint, limit), "connect", cancellationToken);
            if (token is not null)
            {
                await connection.AuthenticateAsync(token, cancellationToken);
            }

            return connection;
        }
        catch (Exception e)
        {
            connection.Dispose();
            throw e is SocketException ? new RespException($"{endpoint.Host}:{endpoint.Port} cannot be reached: {e.Message}", e) : e;
        }
    }

    public async ValueTask<bool> ExistsAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
    {
        var line = await AskAsync("EXISTS"u8.ToArray(), key, cancellationToken);
        return line switch
        {
            ":1" => true,
            ":0" => false,
            _ => throw new RespException($"EXISTS was answered with {line}"),
        };
    }

    /// <summary>Reads a value. Returns its length, or -1 when there is none.</summary>
    public async ValueTask<int> GetAsync(ReadOnlyMemory<byte> key, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var line = await AskAsync("GET"u8.ToArray(), key, cancellationToken);
        if (line == "$-1")
        {
            return -1;
        }

        if (line.Length < 2 || line[0] != '$' || !int.TryParse(line.AsSpan(1), NumberStyles.None, null, out var length))
        {
            throw new RespException($"GET was answered with {line}");
        }

        if (length > destination.Length)
        {
            throw new RespException($"GET answered {length} bytes; the block has {destination.Length}");
        }

        await WithinAsync(limit => ReceiveValueAsync(destination[..length], limit), "GET", cancellationToken);
        return length;
    }

    public async ValueTask SetAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var line = await AskAsync(WriteHead(3, "SET"u8, key.Span, value.Length), value, "SET", cancellationToken);
        if (line != "+OK")
        {
            throw new RespException($"SET was answered with {line}");
        }
    }

    public void Dispose() => _socket.Dispose();

    private async ValueTask AuthenticateAsync(string token, CancellationToken cancellationToken)
    {
        var line = await AskAsync("AUTH"u8.ToArray(), Encoding.UTF8.GetBytes(token), cancellationToken);
        if (!line.StartsWith("+OK", StringComparison.Ordinal))
        {
            throw new RespException($"the token was refused: {line}");
        }
    }

    private ValueTask<string> AskAsync(byte[] verb, ReadOnlyMemory<byte> key, CancellationToken cancellationToken) =>
        AskAsync(WriteHead(2, verb, key.Span, valueBytes: -1), default, "command", cancellationToken);

    private async ValueTask<string> AskAsync(ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> value, string what, CancellationToken cancellationToken)
    {
        var line = "";
        await WithinAsync(
            async limit =>
            {
                await SendAsync(head, value, limit);
                line = await ReceiveLineAsync(limit);
            },
            what,
            cancellationToken);
        return line;
    }

    private ReadOnlyMemory<byte> WriteHead(int arguments, ReadOnlySpan<byte> verb, ReadOnlySpan<byte> key, int valueBytes)
    {
        var written = 0;
        void Mark(char kind, int number)
        {
            _head[written++] = (byte)kind;
            number.TryFormat(_head.AsSpan(written), out var digits);
            written += digits;
            Append(LineEnd);
        }

        void Append(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_head.AsSpan(written));
            written += bytes.Length;
        }

        Mark('*', arguments);
        Mark('$', verb.Length);
        Append(verb);
        Append(LineEnd);
        Mark('$', key.Length);
        Append(key);
        Append(LineEnd);
        if (valueBytes >= 0)
        {
            Mark('$', valueBytes);
        }

        return _head.AsMemory(0, written);
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        await SendAllAsync(head, cancellationToken);
        if (!value.IsEmpty)
        {
            await SendAllAsync(value, cancellationToken);
            await SendAllAsync(LineEnd, cancellationToken);
        }
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    private async ValueTask ReceiveValueAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        var buffered = Math.Min(destination.Length, _end - _start);
        _received.AsMemory(_start, buffered).CopyTo(destination);
        _start += buffered;
        for (destination = destination[buffered..]; !destination.IsEmpty;)
        {
            destination = destination[await ReceiveSomeAsync(destination, cancellationToken)..];
        }

        if (await ReceiveLineAsync(cancellationToken) is { Length: > 0 } extra)
        {
            throw new RespException($"a value was followed by {extra}");
        }
    }

    private async ValueTask<string> ReceiveLineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var length = _received.AsSpan(_start, _end - _start).IndexOf(LineEnd);
            if (length >= 0)
            {
                var line = Encoding.UTF8.GetString(_received, _start, length);
                _start += length + LineEnd.Length;
                return line;
            }

            await ReceiveMoreAsync(cancellationToken);
        }
    }

    private async ValueTask ReceiveMoreAsync(CancellationToken cancellationToken)
    {
        _received.AsSpan(_start, _end - _start).CopyTo(_received);
        (_start, _end) = (0, _end - _start);
        if (_end == _received.Length)
        {
            throw new RespException($"a reply line is longer than {_received.Length} bytes");
        }

        _end += await ReceiveSomeAsync(_received.AsMemory(_end), cancellationToken);
    }

    private async ValueTask<int> ReceiveSomeAsync(Memory<byte> destination, CancellationToken cancellationToken) =>
        await _socket.ReceiveAsync(destination, cancellationToken) is > 0 and var count
            ? count
            : throw new RespException("the server closed the connection");

    private async ValueTask WithinAsync(Func<CancellationToken, ValueTask> step, string what, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_timeout);
        try
        {
            await step(limit.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new RespException($"no answer within {_timeout.TotalSeconds:0.#} s ({what})", e);
        }
    }
}
