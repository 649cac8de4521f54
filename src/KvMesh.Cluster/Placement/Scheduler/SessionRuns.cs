using System.Buffers.Binary;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Turns sequences into runs of blocks that orders can name: every part for itself, cut where a message ends. One caller at a time.</summary>
internal sealed class SessionRuns(ChainBook chains, ISequenceHost sequences, TimeProvider time, Action<Session> onUnknown)
{
    /// <summary>Sequences whose blocks are looked for in one step.</summary>
    private const int MaxPerStep = 32;

    private static readonly TimeSpan RetryTime = TimeSpan.FromSeconds(5);

    /// <summary>Makes the runs of sequences that have none, or others by now; first of those for which blocks are moved.</summary>
    public async ValueTask UpdateAsync(ClusterView view, IEnumerable<Session> sessions, CancellationToken cancellationToken)
    {
        var left = MaxPerStep;
        foreach (var session in sessions.OrderBy(session => !session.IsPlaced))
        {
            var state = StateOf(session);
            if (left == 0 || (session.Runs.Count > 0 && session.Cut.Of == state) || (session.FailedAt is { } at && time.GetElapsedTime(at) < RetryTime))
            {
                continue;
            }

            session.Cut = new SessionCut(default, []);
            session.Copies.Forget();
            session.WasCounted = false;
            if (session.Blocks == 0)
            {
                // The pin of a sequence that was empty then keeps nothing.
                continue;
            }

            left--;
            if (session.Blocks > ChainBook.MaxBlocks || session.Info.Parts * session.Blocks > 4 * ChainBook.MaxBlocks || view.Identity is null)
            {
                NoteUnknown(session, $"It has {session.Blocks} blocks in {session.Info.Parts} parts; the limits are {ChainBook.MaxBlocks} and {4 * ChainBook.MaxBlocks} in all parts.");
                continue;
            }

            var (hashes, why) = await chains.ExpandAsync(view, sequences, session.Id, session.Info, (int)session.Blocks, cancellationToken).ConfigureAwait(false);
            session.FailedAt = null;
            if (hashes is null)
            {
                NoteUnknown(session, why);
            }

            session.Cut = new SessionCut(state, hashes is null ? [] : Cut(session, hashes, view.Identity.Secret));
        }
    }

    /// <summary>Told once for each reason.</summary>
    private void NoteUnknown(Session session, string why)
    {
        session.FailedAt = time.GetTimestamp();
        if (session.Unknown != why)
        {
            session.Unknown = why;
            onUnknown(session);
        }
    }

    /// <summary>
    /// What the runs depend on. A sequence that was closed and opened again under its name has other blocks, and as many of them for all one knows: its pins have
    /// other numbers, and without a pin its last block tells.
    /// </summary>
    private static RunsState StateOf(Session session) => session.IsPinned
        ? new RunsState(session.Info.Pin.Number, default, session.Blocks)
        : new RunsState(0, session.Info.LastHash, session.Blocks);

    private static List<ChainPrefix> Cut(Session session, BlockHash[] hashes, in DigestSecret secret)
    {
        var info = session.Info;
        var blockBytes = Math.Max(1, info.Bytes / Math.Max(1, info.Blocks * info.Parts));
        var runs = new List<ChainPrefix>();
        for (uint part = 0; part < info.Parts; part++)
        {
            var scope = info.Scope.ToArray();
            BinaryPrimitives.WriteUInt32LittleEndian(scope.AsSpan(scope.Length - sizeof(uint)), part);
            foreach (var run in hashes.Chunk(PlacementLimits.MaxRunBlocks))
            {
                var keys = Array.ConvertAll(run, hash => Key(scope, hash));
                runs.Add(new ChainPrefix
                {
                    Tenant = session.Id.Tenant,
                    Tail = HolderMap.TailOf(secret, session.Id.Tenant, keys[^1].Span),
                    Keys = [.. keys],
                    Bytes = blockBytes * keys.Length,
                });
            }
        }

        return runs;
    }

    private static ReadOnlyMemory<byte> Key(byte[] scope, BlockHash hash)
    {
        var key = new byte[scope.Length + Limits.ChainHashBytes];
        scope.CopyTo(key, 0);
        hash.CopyTo(key.AsSpan(scope.Length));
        return key;
    }
}
