using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp.Values;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Resp;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Resp;

/// <summary>
/// One connection of the Redis door: reads requests, executes them in order, and sends the replies of a pipeline together. Nothing
/// of a request is kept across the idle window, so that a parked connection costs this object and no buffer.
/// </summary>
internal sealed partial class RespSession : IResumableSession
{
    /// <summary>
    /// Bytes asked for at a command boundary after a streamed value: the next head, and little of the value behind it, which then
    /// goes straight into its extent.
    /// </summary>
    private const int HeadBytes = 512;

    private readonly RespScanner _scanner = new();
    private readonly RespInput _input;
    private readonly ValueIntake _values;
    private byte[] _output = [];
    private RespBatch _batch;
    private IByteChannel? _channel;
    private ConnectionLeases? _leases;
    private bool _expectsValue;
    private bool _isClosing;
    private volatile bool _isKilled;

    public RespSession(RespServices services, ConnectionInfo connection)
    {
        Services = services;
        Connection = connection;
        _input = new RespInput(services.Buffers, services.Options.MaxRequestBytes);
        _values = new ValueIntake(this);
        OpenedAt = LastCommandAt = services.UnixMilliseconds;
        ResetCaller();
        services.Counters.AddConnection();
        services.Sessions.Add(this);
    }

    public RespServices Services { get; }

    public ConnectionInfo Connection { get; }

    public RespWriter Writer { get; } = new();

    public ValueIntake Values => _values;

    /// <summary>Who is on the other side; null until it has authenticated.</summary>
    public Caller? Caller { get; private set; }

    public bool IsAdmin => Caller?.May(AccessRights.Admin) == true;

    /// <summary>The caller's tenant. Only commands that need a caller may ask.</summary>
    public Tenant Tenant => Caller!.Tenant;

    /// <summary>Leases of the connection, opened at the first need.</summary>
    public ConnectionLeases Leases => _leases ??= Services.Engine.OpenLeases(Tenant);

    /// <summary>What names this connection's tenant and address among the sources of chains.</summary>
    public ulong ChainSource { get; private set; }

    /// <summary>
    /// Whether this may still be LMCache's native client, which knows five replies and is lost after any other: true until the first
    /// command that it never sends.
    /// </summary>
    public bool IsStrict { get; private set; } = true;

    /// <summary>What was done since the last flush.</summary>
    public ref RespBatch Batch => ref _batch;

    public RespCommand? LastCommand { get; private set; }

    /// <summary>Unix milliseconds.</summary>
    public long OpenedAt { get; }

    /// <summary>Unix milliseconds.</summary>
    public long LastCommandAt { get; private set; }

    public SessionOutcome Run(IByteChannel channel)
    {
        _channel = channel;
        _input.Open();
        _output = _output.Length == 0 ? Services.Buffers.Rent() : _output;
        Writer.Attach(channel, _output);
        var outcome = Serve();
        if (outcome == SessionOutcome.Idle)
        {
            Release();
        }

        return outcome;
    }

    /// <summary>Ends the connection once the reply is sent.</summary>
    public void CloseAfterReply() => _isClosing = true;

    /// <summary>Ends the connection from another one, at once where the host can, at its next command otherwise.</summary>
    public void Kill()
    {
        _isKilled = true;
        Services.CloseConnection?.Invoke(Connection.Id);
    }

    /// <summary>The connection belongs to <paramref name="caller"/> from now on.</summary>
    public void SetCaller(Caller? caller)
    {
        if (Caller?.Tenant != caller?.Tenant)
        {
            _leases?.Dispose();
            _leases = null;
        }

        Caller = caller;
        Connection.TenantName = caller?.Tenant.Name ?? "";
        _scanner.IsUnauthenticated = caller is null;
        ChainSource = Services.Chains.SourceOf(Encoding.UTF8.GetBytes($"{Connection.TenantName}\0{Connection.RemoteAddress}"));
    }

    /// <summary>As if the connection had just been opened.</summary>
    public void ResetCaller() => SetCaller(Services.Access.Anonymous);

    /// <summary>Receives for a request in progress, after sending what is owed. 0 when the peer has gone.</summary>
    public int Receive(Span<byte> buffer)
    {
        Flush();
        return _channel!.Receive(buffer);
    }

    public byte[] SaveState() => RespSessionState.Save(this);

    /// <summary>Goes on as a session of an earlier process did.</summary>
    public void Restore(RespSessionState state)
    {
        SetCaller(state.CallerIn(Services));
        IsStrict = state.IsStrict;
        Writer.IsResp3 = state.IsResp3;
        Connection.ClientName = state.ClientName;
    }

    public void Dispose()
    {
        Services.Sessions.Remove(this);
        _values.Abandon();
        _leases?.Dispose();
        _leases = null;
        Release();
    }

    private SessionOutcome Serve()
    {
        while (true)
        {
            switch (_scanner.Scan(_input.Unread))
            {
                case ScanStatus.Request:
                    Execute(_scanner.Request(_input.Unread));
                    NextRequest();
                    break;
                case ScanStatus.Empty:
                    NextRequest();
                    break;
                case ScanStatus.LargeBulk:
                    _isClosing |= !TakeLargeBulk();
                    break;
                case ScanStatus.Malformed:
                    RefuseStream(_scanner.Error);
                    break;
                default:
                    if (!ReceiveMore())
                    {
                        return SessionOutcome.Idle;
                    }

                    break;
            }

            if (_isClosing || _isKilled)
            {
                Flush();
                return SessionOutcome.Close;
            }
        }
    }

    private void NextRequest()
    {
        _values.Abandon();
        _input.Consume(_scanner.Position);
        _scanner.Reset();
    }

    /// <summary>False when the peer is idle at a command boundary.</summary>
    private bool ReceiveMore()
    {
        Flush();
        var room = _input.Room();
        if (room.IsEmpty)
        {
            RefuseStream($"Protocol error: request is over the limit of {Services.Options.MaxRequestBytes} bytes");
            return true;
        }

        int received;
        if (_input.IsEmpty)
        {
            received = _channel!.ReceiveOrIdle(_expectsValue ? room[..HeadBytes] : room);
            _expectsValue = false;
            if (received < 0)
            {
                return false;
            }
        }
        else
        {
            received = _channel!.Receive(room);
        }

        _input.Received(received);
        _isClosing |= received == 0;
        return true;
    }

    private void RefuseStream(string reason)
    {
        Services.Counters.AddProtocolError();
        Writer.WriteError("ERR " + reason);
        _isClosing = true;
    }

    private void Flush()
    {
        Writer.Flush();
        if (_batch.Commands > 0)
        {
            RecordBatch();
        }
    }

    private void RecordBatch()
    {
        Services.Counters.Add(_batch);
        Record(Services.Metrics.Get, _batch.Gets);
        Record(Services.Metrics.Put, _batch.Puts);
        Record(Services.Metrics.Exists, _batch.Probes);
        Record(Services.Metrics.Remove, _batch.Removals);
        LastCommandAt = Services.UnixMilliseconds;
        Connection.Commands += _batch.Commands;
        _batch = default;

        void Record(Telemetry.OperationMetrics metrics, int count)
        {
            if (count > 0)
            {
                metrics.Record(_batch.StartedAt, count);
            }
        }
    }

    private void Release()
    {
        Writer.Detach();
        _input.Close();
        _channel = null;
        if (_output.Length > 0)
        {
            Services.Buffers.Return(_output);
            _output = [];
        }
    }
}
