using System.Buffers.Binary;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Protocol;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Server.Mesh;

/// <summary>
/// Hosts sequences, and sees to it that blocks of this node to which a sequence that is lossless only refers lose nothing from then on: at once here, and
/// elsewhere when the scheduler says so.
/// </summary>
internal sealed class LosslessSequences(ISequenceHost host, BlockEngine engine) : ISequenceHost
{
    /// <summary>Blocks that are looked at when a whole sequence is taken; a step through memory each. The scheduler tells of what lies before them.</summary>
    private const int MostBlocks = 65_536;

    public SequenceEventFeed Events => host.Events;

    public async ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken)
    {
        var reply = await host.ExecuteAsync(id, command, cancellationToken).ConfigureAwait(false);
        if (reply is { IsOk: true, Info: { LosslessOnly: true, Blocks: > 0 } info })
        {
            switch (command)
            {
                case AppendSegment append:
                    Keep(id.Tenant, info, append.LastHash, (int)Math.Min(append.Blocks, MostBlocks));
                    break;
                case OpenSequence or ForkSequence or ResumeSequence:
                    Keep(id.Tenant, info, info.LastHash, (int)Math.Min(info.Blocks, MostBlocks));
                    break;
            }
        }

        return reply;
    }

    public ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken) => host.FindAsync(id, cancellationToken);

    public ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken) =>
        host.ReadRowsAsync(id, first, count, cancellationToken);

    public ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) =>
        host.ListAsync(tenant, after, count, cancellationToken);

    public ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken) => host.ReadUsageAsync(tenant, cancellationToken);

    private void Keep(string tenant, SequenceInfo info, in BlockHash last, int blocks)
    {
        if (engine.Tenants.Find(tenant) is not { } owner)
        {
            return;
        }

        // The part stands at the end of the scope, and the hash behind that.
        var scopeBytes = info.Scope.Length;
        var key = new byte[scopeBytes + Limits.ChainHashBytes];
        info.Scope.Span.CopyTo(key);
        last.ToArray().CopyTo(key, scopeBytes);
        for (var part = 0; part < info.Parts; part++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(key.AsSpan(scopeBytes - sizeof(int)), part);
            engine.KeepLossless(owner, key, blocks);
        }
    }
}
