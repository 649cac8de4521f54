namespace KvMesh.Protocol.Integrity;

/// <summary>
/// Arithmetic modulo the Castagnoli polynomial, for the constants of the fast paths. Polynomials are bit-reflected, as the
/// checksum is: the highest power of x is bit 0.
/// </summary>
internal static class CrcPolynomial
{
    /// <summary>The polynomial 0x1EDC6F41, reflected, without its x³² term.</summary>
    public const uint Reflected = 0x82F63B78;

    private const uint One = 0x8000_0000;

    /// <summary>x to the power of <paramref name="exponent"/>.</summary>
    public static uint PowerOfX(long exponent)
    {
        var result = One;
        var square = One >> 1;
        for (; exponent > 0; exponent >>= 1)
        {
            result = (exponent & 1) != 0 ? Multiply(result, square) : result;
            square = Multiply(square, square);
        }

        return result;
    }

    public static uint Multiply(uint left, uint right)
    {
        uint product = 0;
        for (var bit = One; bit != 0; bit >>= 1)
        {
            product ^= (left & bit) != 0 ? right : 0;
            right = (right >> 1) ^ ((right & 1) != 0 ? Reflected : 0);
        }

        return product;
    }
}
