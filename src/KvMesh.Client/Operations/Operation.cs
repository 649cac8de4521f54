using System.Text;
using KvMesh.Client.Connections;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Client.Operations;

/// <summary>How an operation ended.</summary>
internal enum OperationOutcome
{
    Pending,

    /// <summary>The node answered; the operation holds what it said.</summary>
    Done,

    /// <summary>The node refused it: see <see cref="Operation.Refusal"/>.</summary>
    Refused,

    /// <summary>The connection was lost before the answer was complete. Another connection may be tried.</summary>
    Lost,
}

/// <summary>
/// One request and what becomes of it. A connection writes it with one thread and reads its answer with the same or another one.
/// The caller's memory is touched only between <see cref="TryUse"/> and <see cref="EndUse"/>, and the caller gets control back only
/// outside of them: after a cancellation or a loss nobody writes into memory that was given back.
/// </summary>
internal abstract class Operation
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _completion;
    private CancellationToken _cancellation;
    private OperationOutcome _deferred;
    private int _uses;
    private bool _isAbandoned;
    private bool _isCancelRequested;

    public abstract Verb Verb { get; }

    public virtual bool WantsReply => true;

    /// <summary>Whether only exact copies count, or no copy of what is written may lose anything.</summary>
    protected virtual bool LosslessOnly => false;

    /// <summary>Bytes that follow the head of the request.</summary>
    public virtual long PayloadBytes => 0;

    public ulong RequestId { get; set; }

    /// <summary>When it was queued, in ticks of the client's clock.</summary>
    public long QueuedAt { get; set; }

    public OperationOutcome Outcome { get; private set; }

    /// <summary>Why the node refused.</summary>
    public string Refusal { get; private set; } = "";

    /// <summary>The kind of refusal.</summary>
    public NativeStatus RefusalStatus { get; private set; }

    /// <summary>Completes as <see cref="Start"/> says.</summary>
    public Task Completion => _completion!.Task;

    /// <summary>Whether its caller has left before it was complete.</summary>
    public bool IsAbandoned
    {
        get
        {
            lock (_lock)
            {
                return _isAbandoned;
            }
        }
    }

    /// <summary>Keys that the request names.</summary>
    protected virtual int KeyCount => 1;

    /// <summary>Whether the request is so small that sending it does not block while the connection is healthy.</summary>
    public bool IsSmall => PayloadBytes <= 4096 && KeyCount <= 64;

    public abstract void WriteHead(FrameWriter writer);

    /// <summary>Takes leases along that go back. False when the request has no room for them.</summary>
    public virtual bool TryCarry(ReturnedLeases returned) => false;

    /// <summary>Sends the frame that was written, and the payload behind it.</summary>
    public virtual void SendPayload(FrameWriter writer, IByteChannel channel) => writer.Flush(channel);

    /// <summary>Takes one frame of the answer, its payload included.</summary>
    /// <exception cref="ChannelException">The answer makes no sense, so that nothing that follows can be trusted.</exception>
    protected abstract void ReadFrame(in FrameHeader header, in ResponseReader reader);

    /// <summary>Takes one frame of an answer whose caller has left, without touching that caller's memory.</summary>
    protected virtual void TakeUnwanted(in FrameHeader header, in ResponseReader reader) => reader.Skip(header.PayloadBytes);

    /// <summary>Makes the operation ready for a first or another attempt. The task completes when the caller's memory is the caller's again.</summary>
    public Task Start(CancellationToken cancellationToken)
    {
        Reset();
        _cancellation = cancellationToken;
        _completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _completion.Task;
    }

    /// <summary>Forgets an earlier attempt.</summary>
    public void Reset()
    {
        Outcome = OperationOutcome.Pending;
        _deferred = OperationOutcome.Pending;
        _completion = null;
        _isAbandoned = _isCancelRequested = false;
    }

    /// <summary>Writes the frame of the request, without its payload.</summary>
    public void Write(FrameWriter writer)
    {
        var flags = WantsReply ? FrameFlags.None : FrameFlags.NoReply;
        writer.Begin(Verb, RequestId, LosslessOnly ? flags | FrameFlags.LosslessOnly : flags);
        WriteHead(writer);
        writer.End(NativeStatus.Ok, PayloadBytes);
    }

    /// <summary>Takes one frame of the answer. True when it was the last; call <see cref="Complete"/> then.</summary>
    public bool TakeFrame(in FrameHeader header, in ResponseReader reader)
    {
        if (!TryUse())
        {
            TakeUnwanted(header, reader);
            return !header.HasMore;
        }

        try
        {
            if (header.Status.IsRefusal())
            {
                Refusal = Encoding.UTF8.GetString(reader.Head);
                RefusalStatus = header.Status;
                reader.Skip(header.PayloadBytes);
            }
            else
            {
                ReadFrame(header, reader);
            }
        }
        finally
        {
            EndUse();
        }

        return !header.HasMore;
    }

    /// <summary>Begins to touch the caller's memory. False: the caller has left.</summary>
    public bool TryUse()
    {
        lock (_lock)
        {
            if (_isAbandoned)
            {
                return false;
            }

            _uses++;
            return true;
        }
    }

    public void EndUse()
    {
        lock (_lock)
        {
            _uses--;
            Settle_NeedsLock();
        }
    }

    public void Complete(OperationOutcome outcome)
    {
        lock (_lock)
        {
            if (_deferred == OperationOutcome.Pending)
            {
                _deferred = outcome == OperationOutcome.Done && Refusal.Length > 0 ? OperationOutcome.Refused : outcome;
            }

            Settle_NeedsLock();
        }
    }

    /// <summary>The caller wants to leave: at once, or as soon as its memory is no longer in use.</summary>
    public void Cancel()
    {
        lock (_lock)
        {
            _isCancelRequested = true;
            Settle_NeedsLock();
        }
    }

    protected static ChannelException Nonsense(string what) => new($"The node's answer makes no sense: {what}.");

    private void Settle_NeedsLock()
    {
        if (_uses > 0 || Outcome != OperationOutcome.Pending || _isAbandoned)
        {
            return;
        }

        if (_deferred != OperationOutcome.Pending)
        {
            Outcome = _deferred;
            _completion?.TrySetResult();
        }
        else if (_isCancelRequested)
        {
            _isAbandoned = true;
            _completion?.TrySetCanceled(_cancellation);
        }
    }
}
