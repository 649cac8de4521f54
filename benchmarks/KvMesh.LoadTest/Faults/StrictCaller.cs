using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// A client as strict as LMCache's: one socket, EXISTS, GET, SET of what is missing, every reply exact to the byte. A reply that it does not
/// know, or a connection that ends on a living node, is an error.
/// </summary>
internal sealed class StrictCaller : IDisposable
{
    private const int MaxLine = 32;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(15);
    private static readonly TimeSpan Avoidance = TimeSpan.FromMilliseconds(100);

    private readonly NodeTarget _node;
    private readonly PutLedger _ledger;
    private readonly Traffic _traffic;
    private readonly ChainRequests _requests;
    private readonly byte[] _buffer = new byte[PutLedger.MaxPayloadBytes + 2];
    private readonly byte[] _line = new byte[MaxLine];
    private Socket? _socket;

    public StrictCaller(NodeTarget node, PutLedger ledger, Traffic traffic, int seed)
    {
        _node = node;
        _ledger = ledger;
        _traffic = traffic;
        _requests = new ChainRequests(seed);
    }

    /// <param name="stop">Ends it between two rounds.</param>
    /// <param name="abandon">Ends it wherever it is.</param>
    public async Task RunAsync(CancellationToken stop, CancellationToken abandon)
    {
        while (!stop.IsCancellationRequested)
        {
            var mark = _node.Health.Mark;
            try
            {
                _socket ??= await ConnectAsync(abandon);
                await RoundAsync(_requests.NextRespKey(), mark, abandon);
                await Task.Delay(Pause, CancellationToken.None);
            }
            catch (Exception exception) when (exception is SocketException or EndOfStreamException or InvalidDataException)
            {
                _socket?.Dispose();
                _socket = null;
                if (_node.Health.WasSoundSince(mark) || exception is InvalidDataException)
                {
                    _traffic.Error($"strict client of {_node.Name}: {exception.Message}");
                }
                else
                {
                    _traffic.Lost(_node.Name);
                }

                await Task.Delay(Avoidance, CancellationToken.None);
            }
        }
    }

    public void Dispose() => _socket?.Dispose();

    private async Task<Socket> ConnectAsync(CancellationToken abandon)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(_node.Resp, abandon);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task RoundAsync(long block, int mark, CancellationToken abandon)
    {
        var key = ChainRequests.RespKeyOf(block);
        await SendAsync(Encoding.ASCII.GetBytes($"*2\r\n$6\r\nEXISTS\r\n${key.Length}\r\n{key}\r\n"), abandon);
        var exists = await ReadLineAsync(abandon);
        if (exists is not (":0" or ":1"))
        {
            throw new InvalidDataException($"EXISTS was answered with '{exists}'");
        }

        var startedAt = Stopwatch.GetTimestamp();
        await SendAsync(Encoding.ASCII.GetBytes($"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n"), abandon);
        var head = await ReadLineAsync(abandon);
        if (head == "$-1")
        {
            _traffic.Answer(_node.Name, "resp", isHit: false, Stopwatch.GetElapsedTime(startedAt), _node.IfSoundSince(mark));
            await PutAsync(block, key, abandon);
            return;
        }

        var bytes = PutLedger.PayloadBytes(block);
        if (head != string.Create(CultureInfo.InvariantCulture, $"${bytes}"))
        {
            throw new InvalidDataException($"GET of {bytes} bytes was answered with '{head}'");
        }

        await ReadAsync(_buffer.AsMemory(0, bytes + 2), abandon);
        if (!_buffer.AsSpan(bytes, 2).SequenceEqual("\r\n"u8))
        {
            throw new InvalidDataException("the value of GET does not end where it should");
        }

        if (_ledger.Judge(block, _buffer.AsSpan(0, bytes)) is { } wrong)
        {
            _traffic.Wrong($"{_node.Name}: {wrong}");
            return;
        }

        _traffic.Answer(_node.Name, "resp", isHit: true, Stopwatch.GetElapsedTime(startedAt), _node.IfSoundSince(mark));
    }

    /// <summary>A put of content that is there already is acknowledged too, and not kept; so all puts stay open in the ledger.</summary>
    private async Task PutAsync(long block, string key, CancellationToken abandon)
    {
        var bytes = PutLedger.PayloadBytes(block);
        _ledger.Begin(block, _buffer.AsSpan(0, bytes));
        "\r\n"u8.CopyTo(_buffer.AsSpan(bytes));
        await SendAsync(Encoding.ASCII.GetBytes($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${bytes}\r\n"), abandon);
        await SendAsync(_buffer.AsMemory(0, bytes + 2), abandon);
        if (await ReadLineAsync(abandon) is not "+OK" and var reply)
        {
            throw new InvalidDataException($"SET was answered with '{reply}'");
        }

        _traffic.Put();
    }

    private async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken abandon)
    {
        for (var sent = 0; sent < bytes.Length;)
        {
            sent += await _socket!.SendAsync(bytes[sent..], abandon);
        }
    }

    private async Task<string> ReadLineAsync(CancellationToken abandon)
    {
        for (var length = 0; length < MaxLine; length++)
        {
            await ReadAsync(_line.AsMemory(length, 1), abandon);
            if (_line[length] == '\n' && length > 0 && _line[length - 1] == '\r')
            {
                return Encoding.ASCII.GetString(_line, 0, length - 1);
            }
        }

        throw new InvalidDataException($"a reply begins with '{Encoding.ASCII.GetString(_line)}' and its line does not end");
    }

    private async Task ReadAsync(Memory<byte> destination, CancellationToken abandon)
    {
        while (destination.Length > 0)
        {
            var received = await _socket!.ReceiveAsync(destination, abandon);
            if (received == 0)
            {
                throw new EndOfStreamException("the connection was closed");
            }

            destination = destination[received..];
        }
    }
}
