namespace KvMesh.Engine.Blocks;

/// <summary>
/// Space set aside for one payload. One writer, one thread at a time. It ends with Seal or Abort; both release it, and a
/// second end is a bug.
/// </summary>
public sealed class Reservation
{
    internal Reservation()
    {
    }

    /// <summary>Where the payload goes. Not zeroed: every byte must be written before the seal.</summary>
    public Span<byte> Payload => throw new NotImplementedException();

    /// <summary>Where the checksum table goes: the writer fills it while the bytes pass, and the seal covers it.</summary>
    public Span<uint> Checksums => throw new NotImplementedException();
}
