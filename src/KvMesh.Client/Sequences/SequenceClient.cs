using System.Security.Cryptography;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Client.Sequences;

/// <summary>
/// Sequences of the caller's tenant. Every command carries a request id, drawn at random unless the caller gives one; a connection that is lost
/// under a command is replaced once and the command sent again, which the node does only once. Refusals are values.
/// </summary>
public sealed class SequenceClient
{
    private readonly ConnectionPool _pool;

    internal SequenceClient(ConnectionPool pool) => _pool = pool;

    /// <summary>Creates a sequence, or takes the one that exists with the same scope and parts.</summary>
    /// <param name="holder">Who takes it, for operators and placement.</param>
    public ValueTask<SequenceResult> OpenAsync(string name, BlockScope scope, string holder, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(scope);
        return ExecuteAsync(name, new OpenSequence { Scope = scope.Bytes, Holder = holder }, cancellationToken);
    }

    /// <summary>
    /// As <see cref="OpenAsync"/>, of a sequence whose blocks may lose nothing in any copy; one that exists becomes so. Read them through
    /// <see cref="KvMeshClient.BlocksOf"/>. A node from before this opens it without, and says so: <see cref="SequenceInfo.LosslessOnly"/> of the answer.
    /// </summary>
    public ValueTask<SequenceResult> OpenLosslessAsync(string name, BlockScope scope, string holder, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(scope);
        return ExecuteAsync(name, new OpenSequence { Scope = scope.Bytes, Holder = holder, LosslessOnly = true }, cancellationToken);
    }

    /// <summary>Adds a run of blocks behind the last one.</summary>
    public ValueTask<SequenceResult> AppendAsync(string name, AppendSegment segment, CancellationToken cancellationToken) => ExecuteAsync(name, segment, cancellationToken);

    /// <summary>Opens <paramref name="target"/> with the first blocks of <paramref name="name"/>. The result is the fork.</summary>
    /// <param name="lastHash">Hash of the last block that both share.</param>
    public ValueTask<SequenceResult> ForkAsync(string name, string target, long blocks, BlockHash lastHash, string holder, CancellationToken cancellationToken) =>
        ExecuteAsync(name, new ForkSequence { Target = target, Blocks = blocks, LastHash = lastHash, Holder = holder }, cancellationToken);

    /// <summary>Asks for copies of its blocks; 0 replicas lift the pin. The promise is made when the state is Held.</summary>
    public ValueTask<SequenceResult> PinAsync(string name, long epoch, int replicas, DateTimeOffset until, CancellationToken cancellationToken) =>
        ExecuteAsync(name, new PinSequence { Epoch = epoch, Replicas = replicas, Until = until.ToUnixTimeMilliseconds() }, cancellationToken);

    /// <summary>Rests it between turns.</summary>
    /// <param name="nextHolder">Who will probably resume it; empty: unknown.</param>
    public ValueTask<SequenceResult> ParkAsync(string name, long epoch, string nextHolder, CancellationToken cancellationToken) =>
        ExecuteAsync(name, new ParkSequence { Epoch = epoch, NextHolder = nextHolder }, cancellationToken);

    /// <summary>Takes it: only the epoch in the answer counts from now on.</summary>
    public async ValueTask<SequenceGrant> ResumeAsync(string name, string holder, CancellationToken cancellationToken)
    {
        var operation = new SequenceCommandOperation(name, Identified(new ResumeSequence { Holder = holder }));
        var (refusal, text) = await RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return new SequenceGrant(refusal, refusal == SequenceRefusal.None ? operation.Info : null, operation.Rows, text);
    }

    public ValueTask<SequenceResult> CloseAsync(string name, long epoch, CancellationToken cancellationToken) =>
        ExecuteAsync(name, new CloseSequence { Epoch = epoch }, cancellationToken);

    /// <summary>Any command, with whatever request id and limits the caller wants.</summary>
    public async ValueTask<SequenceResult> ExecuteAsync(string name, SequenceCommand command, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(command);
        var operation = new SequenceCommandOperation(name, Identified(command));
        var (refusal, text) = await RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return new SequenceResult(refusal, refusal == SequenceRefusal.None ? operation.Info : null, text, operation.IsRepetition);
    }

    /// <summary>The sequence as it is, without touching it.</summary>
    public async ValueTask<SequenceResult> FindAsync(string name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        var operation = new SequenceShowOperation(name);
        var (refusal, text) = await RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return new SequenceResult(refusal, refusal == SequenceRefusal.None ? operation.Info : null, text);
    }

    /// <summary>Rows from an index on, 1 to <see cref="SequenceLimits.MaxPageRows"/>.</summary>
    public async ValueTask<SegmentPage> ReadRowsAsync(string name, int first, int count, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var operation = new SequenceRowsOperation(name, first, count);
        var (refusal, text) = await RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return new SegmentPage(refusal, operation.Total, first, operation.Rows, text);
    }

    /// <summary>Sequences whose names come after <paramref name="after"/>; empty: from the first.</summary>
    public async ValueTask<SequenceListing> ListAsync(string after, int count, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(after);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var operation = new SequenceListOperation(after, count);
        var (refusal, text) = await RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return new SequenceListing(refusal, operation.Sequences, operation.Next, text);
    }

    private static SequenceCommand Identified(SequenceCommand command) =>
        command.RequestId != 0 ? command : command with { RequestId = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1 };

    private async ValueTask<(SequenceRefusal Refusal, string Text)> RunAsync(SequenceOperation operation, CancellationToken cancellationToken)
    {
        var connection = await _pool.RunAsync(operation, cancellationToken).ConfigureAwait(false);
        return operation.Outcome switch
        {
            _ when connection is null => (SequenceRefusal.Unavailable, "The node cannot be reached."),
            OperationOutcome.Done => (operation.Refused, operation.RefusalText),
            OperationOutcome.Refused => (operation.RefusalStatus == NativeStatus.Unavailable ? SequenceRefusal.Unavailable : SequenceRefusal.Invalid, operation.Refusal),
            _ => (SequenceRefusal.Unavailable, "The connection was lost."),
        };
    }
}
