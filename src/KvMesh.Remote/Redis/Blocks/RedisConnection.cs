using System.Diagnostics;
using System.Net;
using KvMesh.Protocol.Resp;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>What greets a server: credentials and database.</summary>
internal sealed record RedisGreeting(byte[] User, byte[]? Password, int Database);

/// <summary>
/// One connection that somebody owns for one operation at a time. An operation has a deadline that holds for all of it; past it, the
/// connection is shut down from another thread and the call that waits throws. Speaks RESP2, which is what a server speaks unless asked.
/// </summary>
internal sealed class RedisConnection : IDisposable
{
    /// <summary>Largest reply that is not a value: texts of errors and small arrays.</summary>
    public const int MaxSmallReplyBytes = 64 * 1024;

    private readonly StreamSocket _socket;
    private readonly OperationWatch _watch;
    private readonly byte[] _probe = new byte[1];
    private long _deadline;
    private volatile bool _isLate;

    private RedisConnection(StreamSocket socket, OperationWatch watch)
    {
        _socket = socket;
        _watch = watch;
        Replies = new RespReplyReader(socket);
    }

    public RespReplyReader Replies { get; }

    public RespCommandWriter Commands { get; } = new();

    /// <summary>Room for head, names, table and seals of one block.</summary>
    public byte[] Scratch { get; } = new byte[16 * 1024];

    /// <summary>What was purged of the tenant, as of the last reply that told; see <see cref="ScopeStamps"/>.</summary>
    public ScopeStamps Scopes { get; } = new();

    /// <summary>Whether the deadline ended this connection.</summary>
    public bool IsLate => _isLate;

    /// <summary>Whether something of an answer was left unread, so that nobody can go on with it.</summary>
    public bool IsSpoiled { get; set; }

    /// <summary>Whether the server has neither closed an idle connection nor said something that nobody asked for.</summary>
    public bool IsFresh
    {
        get
        {
            try
            {
                return !Replies.HasBuffered && _socket.ReceiveAvailable(_probe) < 0;
            }
            catch (ChannelException)
            {
                return false;
            }
        }
    }

    /// <summary>Connects, authenticates and chooses the database within <paramref name="limit"/>. The operation has begun and stays so.</summary>
    /// <exception cref="IOException">Nobody answered, or the server refuses.</exception>
    public static RedisConnection Open(EndPoint endpoint, RedisGreeting greeting, TimeSpan limit, OperationWatch watch)
    {
        var options = new StreamSocketOptions { ConnectTimeout = limit, StallLimit = TimeSpan.FromMinutes(1), IdleWindow = TimeSpan.Zero };
        var startedAt = Stopwatch.GetTimestamp();
        var connection = new RedisConnection(StreamSocket.Connect(endpoint, options), watch);
        connection.Begin(limit - Stopwatch.GetElapsedTime(startedAt));
        try
        {
            connection.Greet(greeting);
            return connection;
        }
        catch (IOException failure)
        {
            connection.End();
            connection.Dispose();
            throw connection.Explain(failure);
        }
    }

    /// <summary>What a failure was: past the deadline it was the deadline.</summary>
    public IOException Explain(IOException failure) => !_isLate
        ? failure
        : new ChannelException($"There was no whole answer within the deadline ({failure.Message})") { Fault = ChannelFault.Stalled };

    /// <summary>Begins an operation that ends after <paramref name="limit"/> at the latest.</summary>
    public void Begin(TimeSpan limit)
    {
        Extend(limit);
        _watch.Begin(this);
    }

    /// <summary>Gives the operation that runs <paramref name="limit"/> from now.</summary>
    public void Extend(TimeSpan limit) =>
        Volatile.Write(ref _deadline, Stopwatch.GetTimestamp() + (long)(Math.Max(limit.TotalSeconds, 0) * Stopwatch.Frequency));

    public void End() => _watch.End(this);

    public void AbortIfLate(long now)
    {
        if (now >= Volatile.Read(ref _deadline) && !_isLate)
        {
            _isLate = true;
            _socket.Shutdown();
        }
    }

    public void Abort()
    {
        _isLate = true;
        _socket.Shutdown();
    }

    /// <summary>Sends the commands that were built.</summary>
    public void Send()
    {
        _socket.Send(Commands.Built);
        Commands.Clear();
    }

    /// <summary>Sends the commands that were built, with <paramref name="value"/> in their midst, as one gathered write out of where it lies.</summary>
    public void SendAround(int valueOffset, ReadOnlySpan<byte> value)
    {
        _socket.Send(Commands.Built[..valueOffset], value, Commands.Built[valueOffset..]);
        Commands.Clear();
    }

    /// <summary>Reads a reply that is one number.</summary>
    /// <exception cref="RedisRefusalException">The server answered with an error.</exception>
    public long ReadNumber()
    {
        var reply = Next();
        return reply.Kind == RespReplyKind.Number ? reply.Number : throw Unexpected("a number", reply);
    }

    /// <summary>Reads <c>+OK</c>, or a null, which is false: a condition did not hold.</summary>
    /// <exception cref="RedisRefusalException">The server answered with an error.</exception>
    public bool ReadDone()
    {
        var reply = Next();
        return reply.Kind switch
        {
            RespReplyKind.Simple => true,
            RespReplyKind.Null => false,
            _ => throw Unexpected("OK", reply),
        };
    }

    /// <summary>Reads the head of a value; -1 when there is none. The bytes follow.</summary>
    /// <exception cref="RedisRefusalException">The server answered with an error.</exception>
    public int ReadValueHead(int maxBytes)
    {
        var reply = Next(maxBytes);
        return reply.Kind switch
        {
            RespReplyKind.Bulk => (int)reply.Number,
            RespReplyKind.Null => -1,
            _ => throw Unexpected("a value", reply),
        };
    }

    /// <summary>Reads the head of a reply; an error throws.</summary>
    public RespReply Next(int maxBytes = MaxSmallReplyBytes)
    {
        var reply = Replies.Next(maxBytes);
        return reply.Kind == RespReplyKind.Error ? throw new RedisRefusalException(System.Text.Encoding.Latin1.GetString(Replies.Text)) : reply;
    }

    public void Dispose() => _socket.Dispose();

    private static RespReplyException Unexpected(string expected, in RespReply reply) => new($"Expected {expected}, got a reply of kind {reply.Kind}.");

    private void Greet(RedisGreeting greeting)
    {
        var replies = 0;
        if (greeting.Password is { } password)
        {
            Commands.Begin(greeting.User.Length > 0 ? 3 : 2);
            Commands.Add("AUTH"u8);
            if (greeting.User.Length > 0)
            {
                Commands.Add(greeting.User);
            }

            Commands.Add(password);
            replies++;
        }

        if (greeting.Database != 0)
        {
            Commands.Begin(2);
            Commands.Add("SELECT"u8);
            Commands.Add(greeting.Database);
            replies++;
        }

        Commands.Begin(1);
        Commands.Add("PING"u8);
        replies++;
        Send();
        for (; replies > 0; replies--)
        {
            ReadDone();
        }
    }
}

/// <summary>The server answered with an error. The connection is in order, and what it was asked was not done.</summary>
internal sealed class RedisRefusalException(string text) : IOException(text)
{
    /// <summary>The first word, such as OOM or READONLY.</summary>
    public string Code { get; } = text.Split(' ', 2)[0];

    /// <summary>
    /// Whether the server refuses to store, while what it has can be read: full, a replica, disk trouble, or not enough rights.
    /// </summary>
    public bool IsOfWritesOnly => Code is "OOM" or "READONLY" or "MISCONF" or "NOREPLICAS" or "NOPERM";
}
