namespace KvMesh.Codecs.Layouts;

/// <summary>How one number of a block is stored. Append only: the value is part of every layout hash.</summary>
public enum KvElement : byte
{
    /// <summary>bfloat16: the upper half of a single.</summary>
    BFloat16 = 1,

    /// <summary>IEEE 754 half.</summary>
    Float16 = 2,

    /// <summary>OCP E4M3FN: bias 7, ±448, no infinity, NaN is 7F and FF. Not the FNUZ variant that ends at ±240.</summary>
    Fp8E4M3 = 3,

    /// <summary>OCP E5M2: bias 15, ±57,344, with infinities.</summary>
    Fp8E5M2 = 4,

    /// <summary>Bytes without a numeric meaning, as the state of a recurrent layer.</summary>
    Opaque = 5,
}

/// <summary>What follows from a <see cref="KvElement"/>.</summary>
public static class KvElements
{
    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this KvElement element) => element is KvElement.BFloat16 or KvElement.Float16 ? 2 : 1;

    /// <summary>Whether the value is one of the enumeration.</summary>
    public static bool IsKnown(this KvElement element) => element is >= KvElement.BFloat16 and <= KvElement.Opaque;
}
