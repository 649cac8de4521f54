using System.Text;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers.Holders;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Progressive;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native.Progressive;
using KvMesh.Gateway.SharedMemory;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Native;

/// <summary>
/// The state of one native connection and the request in hand. Its buffers are reused from request to request, so that a warm
/// get allocates nothing. Belongs to the thread that runs the session.
/// </summary>
internal sealed class NativeExchange(NativeServices services, ConnectionInfo connection) : IDisposable
{
    private Caller? _caller;
    private ConnectionLeases? _leases;
    private byte[]? _tableBuffer;
    private bool _readsLossless;
    private bool _writesLossless;
    private OpenWrites? _openWrites;
    private Follower? _follower;

    public NativeServices Services { get; } = services;

    public ConnectionInfo Connection { get; } = connection;

    public BlockEngine Engine => Services.Engine;

    public DoorMetrics Metrics => Services.Metrics;

    public FrameReceiver Receiver { get; } = new() { Versions = services.Options.Versions };

    public FrameWriter Writer { get; } = new();

    /// <summary>Answers that the control plane still works on, in the order of their requests.</summary>
    public OwedAnswers Owed { get; } = new();

    /// <summary>The stream of this run.</summary>
    public IByteChannel Channel { get; set; } = null!;

    /// <summary>Header of the request in hand; its head is the receiver's.</summary>
    public FrameHeader Request { get; set; }

    public bool IsAuthenticated => _caller is not null;

    public Tenant Tenant => _caller!.Tenant;

    public ConnectionLeases Leases => _leases!;

    /// <summary>Whether copies that have lost something are misses to the request in hand: it says so, or its connection, or its tenant.</summary>
    public bool LosslessOnly => _readsLossless || Tenant.LosslessReads || (Request.Flags & FrameFlags.LosslessOnly) != 0;

    /// <summary>Whether no copy of what the request in hand writes may lose anything: it says so, or its connection.</summary>
    public bool WritesLossless => _writesLossless || (Request.Flags & FrameFlags.LosslessOnly) != 0;

    public ScopeNames ScopeNames { get; } = new();

    /// <summary>Room for the key in hand.</summary>
    public byte[] KeyBuffer { get; } = new byte[Limits.MaxKeyBytes];

    /// <summary>Room for the key of its parent.</summary>
    public byte[] ParentBuffer { get; } = new byte[Limits.MaxKeyBytes];

    /// <summary>Room for the checksum table behind the bytes of a put.</summary>
    public byte[] TableBuffer => _tableBuffer ??= new byte[(Limits.MaxChecksumEntries + 1) * sizeof(uint)];

    /// <summary>Blocks that this connection writes by section.</summary>
    public OpenWrites OpenWrites => _openWrites ??= new OpenWrites();

    /// <summary>What this connection reads by section.</summary>
    public Follower Follower => _follower ??= new Follower(Leases);

    /// <summary>What the client holds in its own memory, once it has announced something.</summary>
    public Holding? Holding { get; set; }

    /// <summary>The client's staging file, once it has asked for one.</summary>
    public StagingFile? Staging { get; set; }

    /// <summary>Whether the client matches its prompts: then its gets ask for what a match has asked for already.</summary>
    public bool HasMatched { get; set; }

    /// <summary>Whether the client maps the tenant's arena.</summary>
    public bool IsAttached { get; set; }

    /// <summary>Both ends have agreed on a version.</summary>
    public void Speak(byte version)
    {
        Receiver.Versions = NativeVersions.Only(version);
        Writer.Version = version;
    }

    public void Authenticate(Caller caller)
    {
        _caller = caller;
        _leases = Engine.OpenLeases(caller.Tenant);
        Connection.TenantName = caller.Tenant.Name;
    }

    /// <summary>What the client said of all its requests when it greeted.</summary>
    public void Wish(NativeCapabilities capabilities)
    {
        _readsLossless = (capabilities & NativeCapabilities.LosslessReads) != 0;
        _writesLossless = (capabilities & NativeCapabilities.LosslessWrites) != 0;
    }

    /// <summary>Whether the caller has these rights; refuses the request when not.</summary>
    public bool Require(AccessRights rights)
    {
        if (_caller!.May(rights))
        {
            return true;
        }

        Refuse(NativeStatus.AccessDenied, $"{Request.Verb}: this token of tenant '{Tenant.Name}' has the rights {_caller.Rights} and lacks {rights & ~_caller.Rights}.");
        return false;
    }

    public bool May(AccessRights rights) => _caller!.May(rights);

    /// <summary>Reads the keys, the last part of every head that has any; refuses the request when they are wrong.</summary>
    public bool TryReadKeys(ref HeadReader reader, out KeySet keys)
    {
        if (KeySet.TryRead(ref reader, out keys, out var fault))
        {
            return true;
        }

        Refuse(fault == KeyFault.WrongCount ? NativeStatus.LimitExceeded : NativeStatus.BadRequest, $"{Request.Verb}: {Describe(fault)}");
        return false;
    }

    /// <summary>Begins the answer to the request in hand.</summary>
    public void Begin(bool more = false) =>
        Writer.Begin(Request.Verb, Request.RequestId, more ? FrameFlags.Response | FrameFlags.More : FrameFlags.Response);

    /// <summary>An answer that is a status and nothing else.</summary>
    public void Answer(NativeStatus status)
    {
        Begin();
        Writer.End(status);
    }

    /// <summary>Refuses the request in hand; <paramref name="text"/> names field, value and limit. Its payload must be skipped by then.</summary>
    public void Refuse(NativeStatus status, string text)
    {
        if (!Request.WantsReply)
        {
            return;
        }

        Begin();
        Writer.WriteText(text);
        Writer.End(status);
    }

    /// <summary>Reads past the payload of the request in hand. Answers that are due go out first, since this may take long.</summary>
    public void SkipPayload()
    {
        FlushBeforePayload();
        Receiver.Skip(Channel, Request.PayloadBytes);
    }

    /// <summary>Sends what is due when the payload of the request is not here yet.</summary>
    public void FlushBeforePayload()
    {
        if (Request.PayloadBytes > Receiver.BufferedBytes)
        {
            Writer.Flush(Channel);
        }
    }

    public void Dispose()
    {
        Holding?.Dispose();
        _openWrites?.AbandonAll(Engine);
        _leases?.Dispose();
        Staging?.Dispose();
    }

    /// <summary>Text that came over the wire, for listings and logs: nothing in it can end a line there.</summary>
    public static string ToText(ReadOnlySpan<byte> utf8) =>
        string.Concat(Encoding.UTF8.GetString(utf8).Select(character => char.IsControl(character) ? '?' : character));

    private static string Describe(KeyFault fault) => fault switch
    {
        KeyFault.WrongCount => $"the count of keys must be 1 to {Limits.MaxBlocksPerRequest}.",
        KeyFault.WrongScope => "the scope of the keys is not 01 ‖ u8 ‖ model ‖ u8 ‖ revision ‖ layout hash (32) ‖ part (4).",
        KeyFault.UnknownForm => "the form of the keys must be 1 (chain) or 2 (opaque).",
        KeyFault.WrongKeyLength => $"a key must have 1 to {Limits.MaxKeyBytes} bytes.",
        _ => "the head ends before its fields do, or goes on behind them.",
    };
}
