using KvMesh.Engine.Host;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Space set aside for one payload. One writer, one thread at a time. It ends with Seal or Abort; both release it, and a
/// second end is a bug.
/// </summary>
public sealed class Reservation
{
    private int _isEnded;

    internal Reservation(Block block) => Block = block;

    /// <summary>Where the payload goes. Not zeroed: every byte must be written before the seal.</summary>
    public Span<byte> Payload => Trailer.Payload(Host.Arena, Block.Extent, Block.PayloadBytes);

    /// <summary>Where the checksum table goes: the writer fills it while the bytes pass, and the seal covers it.</summary>
    public Span<uint> Checksums => Trailer.Table(Host.Arena, Block.Extent, Block.PayloadBytes);

    internal Block Block { get; }

    private HostTier Host => Block.Tenant.Host;

    /// <summary>Ends the reservation, once.</summary>
    /// <exception cref="InvalidOperationException">It has ended before.</exception>
    internal Block End() =>
        Interlocked.Exchange(ref _isEnded, 1) == 0 ? Block : throw new InvalidOperationException("The reservation was sealed or aborted before.");
}
