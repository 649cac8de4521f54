namespace KvMesh.Codecs.Blocks;

/// <summary>How opening or decoding an encoded block ended. Anything but <see cref="Ok"/> leaves the destination's content unknown.</summary>
public enum DecodeResult
{
    Ok,

    /// <summary>Ends before its header or a section does.</summary>
    Truncated,

    /// <summary>Does not begin as an encoded block.</summary>
    NotEncoded,

    /// <summary>Written by a version of the frame that is unknown here.</summary>
    UnknownVersion,

    /// <summary>Written by a codec, a version of it, or with parameters that are unknown here.</summary>
    UnknownCodec,

    /// <summary>A checksum disagrees.</summary>
    BadChecksum,

    /// <summary>Numbers in it contradict each other.</summary>
    Malformed,

    /// <summary>Encoded from another layout or other tokens than asked for.</summary>
    WrongLayout,

    /// <summary>Does not hold a layer or head that was asked for.</summary>
    NotHere,
}
