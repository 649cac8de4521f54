using System.Text;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Sockets;

/// <summary>
/// A small protocol over real channels: every line is answered by its number on this connection and its text. Some lines
/// do more: <c>hold</c> waits for the test, <c>crash</c> throws, <c>quit</c> ends.
/// </summary>
internal sealed class LineFactory : IResumableSessionFactory, IDisposable
{
    public string Protocol { get; init; } = "line";

    /// <summary>Set by a session that holds, before it waits for <see cref="Release"/>.</summary>
    public SemaphoreSlim Held { get; } = new(0);

    public SemaphoreSlim Release { get; } = new(0);

    public int LiveSessions;

    public IConnectionSession Create(ConnectionInfo connection) => new LineSession(this, connection, 0);

    public IConnectionSession Resume(ConnectionInfo connection, ReadOnlySpan<byte> state) => new LineSession(this, connection, BitConverter.ToInt32(state));

    public void Dispose()
    {
        Held.Dispose();
        Release.Dispose();
    }
}

internal sealed class LineSession : IResumableSession
{
    private readonly LineFactory _factory;
    private readonly ConnectionInfo _connection;
    private readonly byte[] _buffer = new byte[4096];
    private int _length;
    private int _served;

    public LineSession(LineFactory factory, ConnectionInfo connection, int served)
    {
        _factory = factory;
        _connection = connection;
        _served = served;
        Interlocked.Increment(ref factory.LiveSessions);
    }

    public SessionOutcome Run(IByteChannel channel)
    {
        while (true)
        {
            var received = _length == 0 ? channel.ReceiveOrIdle(_buffer) : channel.Receive(_buffer.AsSpan(_length));
            if (received <= 0)
            {
                return received < 0 ? SessionOutcome.Idle : SessionOutcome.Close;
            }

            _length += received;
            int end;
            while ((end = _buffer.AsSpan(0, _length).IndexOf((byte)'\n')) >= 0)
            {
                var line = Encoding.ASCII.GetString(_buffer, 0, end);
                _buffer.AsSpan(end + 1, _length - end - 1).CopyTo(_buffer);
                _length -= end + 1;
                if (!Answer(line, channel))
                {
                    return SessionOutcome.Close;
                }
            }
        }
    }

    public byte[] SaveState() => BitConverter.GetBytes(_served);

    public void Dispose() => Interlocked.Decrement(ref _factory.LiveSessions);

    private bool Answer(string line, IByteChannel channel)
    {
        _connection.Commands++;
        switch (line)
        {
            case "hold":
                _factory.Held.Release();
                Assert.True(_factory.Release.Wait(Eventually.Patience), "the test releases held sessions");
                break;
            case "crash":
                throw new InvalidOperationException("asked to crash");
            case "quit":
                channel.Send("bye\n"u8);
                return false;
        }

        if (line.StartsWith("name ", StringComparison.Ordinal))
        {
            _connection.ClientName = line[5..];
        }

        channel.Send(Encoding.ASCII.GetBytes($"{++_served} "), Encoding.ASCII.GetBytes(line), "\n"u8);
        return true;
    }
}

/// <summary>A strict client: any lost connection or wrong answer is an exception.</summary>
internal sealed class LineClient(System.Net.EndPoint endpoint) : IDisposable
{
    private readonly StreamSocket _socket = StreamSocket.Connect(endpoint, new StreamSocketOptions { StallLimit = Eventually.Patience, ConnectTimeout = Eventually.Patience });
    private readonly byte[] _buffer = new byte[4096];

    public string Ask(string line)
    {
        Send(line + "\n");
        return ReadLine();
    }

    public void Send(string text) => _socket.Send(Encoding.ASCII.GetBytes(text));

    /// <summary>The next line; an answer never comes in the same segment as another one here, since each is awaited.</summary>
    public string ReadLine()
    {
        var length = 0;
        while (length == 0 || _buffer[length - 1] != (byte)'\n')
        {
            var received = _socket.Receive(_buffer.AsSpan(length));
            if (received == 0)
            {
                throw new EndOfStreamException("The server has closed the connection.");
            }

            length += received;
        }

        return Encoding.ASCII.GetString(_buffer, 0, length - 1);
    }

    /// <summary>Waits for the end of the stream; a reset counts as well.</summary>
    public bool IsClosedByServer()
    {
        try
        {
            return _socket.Receive(_buffer) == 0;
        }
        catch (ChannelException failure)
        {
            return failure.Fault == ChannelFault.Lost;
        }
    }

    public void Dispose() => _socket.Dispose();
}
