namespace KvMesh.Protocol.Integrity;

/// <summary>
/// Fills a checksum table while a payload arrives in pieces of any size, so that every byte is read once, while it is
/// still in the cache. One writer; the table belongs to the caller and is complete once all payload bytes were appended.
/// </summary>
public struct RunningChecksum
{
    private uint _current;
    private long _appendedBytes;

    /// <summary>Payload bytes seen so far.</summary>
    public readonly long AppendedBytes => _appendedBytes;

    /// <summary>Takes the next piece of the payload and stores the entries that it completes or touches.</summary>
    public void Append(ReadOnlySpan<byte> piece, Span<uint> table)
    {
        while (!piece.IsEmpty)
        {
            var entry = (int)(_appendedBytes / Limits.ChecksumChunkBytes);
            var room = Limits.ChecksumChunkBytes - (int)(_appendedBytes % Limits.ChecksumChunkBytes);
            var part = piece[..Math.Min(room, piece.Length)];
            _current = Crc32C.Append(room == Limits.ChecksumChunkBytes ? 0 : _current, part);
            table[entry] = _current;
            _appendedBytes += part.Length;
            piece = piece[part.Length..];
        }
    }
}
