using System.Buffers.Binary;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Server.Mesh;

/// <summary>
/// Hosts sequences, and sees to what they mean for blocks of this node. Those to which a sequence that is lossless only refers lose nothing from then on: at once
/// here, and elsewhere when the scheduler says so. Those of a sequence that is closed leave first.
/// </summary>
internal sealed class EngineSequences(ISequenceHost host, BlockEngine engine) : ISequenceHost
{
    /// <summary>Blocks that are looked at when a whole sequence is taken; a step through memory each. The scheduler tells of what lies before them.</summary>
    private const int MostBlocks = 65_536;

    public SequenceEventFeed Events => host.Events;

    public async ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken)
    {
        var reply = await host.ExecuteAsync(id, command, cancellationToken).ConfigureAwait(false);
        if (command is CloseSequence && reply is { IsOk: true, IsRepetition: false, Info: { Blocks: > 0 } closed })
        {
            ForEachPart(id.Tenant, closed, closed.LastHash, (owner, key) => engine.Yield(owner, key, (int)Math.Min(closed.Blocks, MostBlocks)));
        }

        if (reply is { IsOk: true, Info: { LosslessOnly: true, Blocks: > 0 } info })
        {
            switch (command)
            {
                case AppendSegment append:
                    Keep(id.Tenant, info, append.LastHash, append.Blocks);
                    break;
                case OpenSequence or ForkSequence or ResumeSequence:
                    Keep(id.Tenant, info, info.LastHash, info.Blocks);
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

    private void Keep(string tenant, SequenceInfo info, in BlockHash last, long blocks) =>
        ForEachPart(tenant, info, last, (owner, key) => engine.KeepLossless(owner, key, (int)Math.Min(blocks, MostBlocks)));

    /// <summary>Calls with the key of the last block in each part of a sequence.</summary>
    private void ForEachPart(string tenant, SequenceInfo info, in BlockHash last, Action<Tenant, byte[]> act)
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
            act(owner, key);
        }
    }
}
