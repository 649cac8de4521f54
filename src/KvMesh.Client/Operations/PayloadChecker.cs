using System.Runtime.InteropServices;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Operations;

/// <summary>Receives a payload in pieces that stay in the cache while their checksums are taken, and compares with the node's.</summary>
internal ref struct PayloadChecker(bool verify)
{
    private RunningChecksum _checksum;
    private uint[]? _table;

    public void Receive(in ResponseReader reader, Span<byte> destination, int payloadBytes)
    {
        _table ??= new uint[ChecksumTable.EntryCount(payloadBytes)];
        while (!destination.IsEmpty)
        {
            var received = reader.ReceiveSome(destination[..Math.Min(destination.Length, NativeLimits.PieceBytes)]);
            if (verify)
            {
                _checksum.Append(destination[..received], _table);
            }

            destination = destination[received..];
        }
    }

    /// <summary>Whether the received bytes are those that a codec wrote.</summary>
    public readonly bool Matches(in EncodedHead head) =>
        !verify || (MemoryMarshal.AsBytes(_table.AsSpan()).SequenceEqual(head.Entries) && Crc32C.Compute(head.Entries) == head.TableChecksum);

    /// <summary>Whether the received bytes are those that were sealed.</summary>
    public readonly bool Matches(in BlockHead head)
    {
        if (!verify)
        {
            return true;
        }

        var isWhole = head.PayloadOffset == 0 && head.Entries.Length == ChecksumTable.EntryCount(head.BlockBytes) * sizeof(uint);
        return MemoryMarshal.AsBytes(_table.AsSpan()).SequenceEqual(head.Entries)
            && (!isWhole || Crc32C.Compute(head.Entries) == head.TableChecksum);
    }
}
