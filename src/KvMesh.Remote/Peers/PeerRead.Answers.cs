using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Remote.Peers;

/// <summary>What becomes of the answers of one read.</summary>
internal sealed partial class PeerRead
{
    /// <summary>Takes one piece or one head. False: nothing is here.</summary>
    private bool Step(PeerSource source)
    {
        if (source.IsReceiving)
        {
            var rest = intake.Payload.Slice(source.Current.Start + source.Received, source.Current.Bytes - source.Received);
            var taken = source.Connection.TakePayload(rest[..Math.Min(rest.Length, NativeLimits.PieceBytes)]);
            source.Received += taken;
            if (taken > 0)
            {
                Check(source);
            }

            return taken > 0;
        }

        if (source.Connection.TakeFrame() == PeerArrival.Nothing)
        {
            return false;
        }

        var range = source.Answer();
        if (!source.HasAnsweredBefore)
        {
            source.Peer.FirstAnswers.Add(0, around.Time.GetElapsedTime(source.Since));
        }

        source.Peer.Answered();
        TakeHead(source, range);
        return true;
    }

    private void TakeHead(PeerSource source, ByteRange asked)
    {
        var status = source.Connection.Header.Status;
        if (status.IsRefusal())
        {
            // What it has is not known: the map may be right, and somebody else is to bring this part.
            _hasFailed = true;
            around.NoteRefusal(source.Peer, tenant, Encoding.UTF8.GetString(source.Connection.Head));
            _board.Return(_board.IsKnown ? asked : default);
            Drop(source);
            return;
        }

        if (status == NativeStatus.Behind)
        {
            // It may have the block, and may not give it: the map is right, and nothing is wrong with the node.
            _hasFailed = true;
            _board.Return(_board.IsKnown ? asked : default);
            Drop(source);
            return;
        }

        if (status == NativeStatus.Lossy && intake.LosslessOnly)
        {
            // It has the block, as the map says, and not as it is wanted.
            _isLossy = true;
            _board.Return(_board.IsKnown ? asked : default);
            Drop(source);
            return;
        }

        if (status is not (NativeStatus.Ok or NativeStatus.Lossy))
        {
            source.Peer.CountMiss();
            around.Locator.ReportFalseHit(tenant, key, source.Candidate.Holder, _mark);
            _board.Return(_board.IsKnown ? asked : default);
            Drop(source);
            return;
        }

        var reader = new HeadReader(source.Connection.Head);
        var payloadBytes = source.Connection.Header.PayloadBytes;
        if (!BlockHead.TryRead(ref reader, payloadBytes, out var head) || !BlockOriginHead.TryRead(ref reader, out var origin)
            || (status == NativeStatus.Lossy) != origin.Loss is not null
            || payloadBytes != Math.Max(0, Math.Min(asked.Bytes, (long)head.BlockBytes - asked.Start)) || (payloadBytes > 0 && head.PayloadOffset != asked.Start))
        {
            throw new ChannelException($"The answer of {payloadBytes} bytes at {head.PayloadOffset} is none to a request for {asked.Bytes} at {asked.Start}.");
        }

        if (!_board.IsKnown)
        {
            Learn(source, head, origin);
        }
        else if (head.BlockBytes == _board.BlockBytes && head.TableChecksum == _tableChecksum && asked.Bytes == payloadBytes)
        {
            source.Begin(asked);
        }
        else
        {
            // The same content, computed by another writer: right in itself, but no part of what has begun to come.
            _board.Return(asked);
            Drop(source);
        }

        AskAhead(source);
    }

    private void Learn(PeerSource source, in BlockHead head, in BlockOriginHead origin)
    {
        var isTaken = intake.TryReserve(new BlockOrigin
        {
            PayloadBytes = (int)head.BlockBytes,
            TableChecksum = head.TableChecksum,
            ExpiresAt = origin.ExpiresAt,
            Loss = origin.Loss,
            Traits = new BlockTraits
            {
                IsContent = true,
                LosslessOnly = origin.LosslessOnly,
                Model = Encoding.UTF8.GetString(origin.Model),
                Revision = Encoding.UTF8.GetString(origin.Revision),
                ParentKey = origin.ParentKey,
                CompanionOf = origin.CompanionOf,
            },
        });
        if (!isTaken)
        {
            _isGivenUp = true;
            return;
        }

        // Before the length is known: what they were asked for is what the winner brings.
        foreach (var other in _sources.Where(other => other != source).ToArray())
        {
            // At least so long: without this the slow answers would be missing from what is usual.
            other.Peer.FirstAnswers.Add(0, around.Time.GetElapsedTime(other.Since));
            if (other.IsOvertaken)
            {
                // One that was asked a moment ago because this one was slow had no time to answer, and has lost nothing.
                other.Peer.Lost();
            }

            Drop(other);
        }

        _tableChecksum = head.TableChecksum;
        source.Begin(_board.Learn((int)head.BlockBytes));
        while (_board.HasWork && _nextCandidate < candidates.Count && TryAddSource(waits: false))
        {
        }
    }

    /// <summary>Checks the chunks that are whole now, while they are in the cache.</summary>
    private void Check(PeerSource source)
    {
        const int Chunk = Limits.ChecksumChunkBytes;
        var isWhole = source.Received == source.Current.Bytes;
        var whole = isWhole ? source.Received : source.Received / Chunk * Chunk;
        if (whole > source.Accepted)
        {
            var reader = new HeadReader(source.Connection.Head);
            BlockHead.TryRead(ref reader, source.Connection.Header.PayloadBytes, out var head);
            var first = source.Accepted / Chunk;
            var entries = head.Entries[(first * sizeof(uint))..((whole + Chunk - 1) / Chunk * sizeof(uint))];
            if (!intake.TryAccept((source.Current.Start / Chunk) + first, entries))
            {
                _liars.Add(source.Peer);
                _hasFailed = true;
                Drop(source);
                return;
            }

            _board.Add(whole - source.Accepted);
            source.Accepted = whole;
        }

        if (isWhole)
        {
            var now = around.Time.GetTimestamp();
            source.Peer.Reads.Add(source.Current.Bytes, around.Time.GetElapsedTime(source.Since, now));
            source.Peer.CountHit(source.Current.Bytes);
            source.Finish(now);
            AskAhead(source);
        }
    }
}
