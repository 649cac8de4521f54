using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class FiniteNumbersTests
{
    [Theory]
    [InlineData(KvElement.BFloat16, 0x7F7F, true)]
    [InlineData(KvElement.BFloat16, 0x7F80, false)]
    [InlineData(KvElement.BFloat16, 0xFF81, false)]
    [InlineData(KvElement.Float16, 0x7BFF, true)]
    [InlineData(KvElement.Float16, 0x7C00, false)]
    [InlineData(KvElement.Float16, 0xFE00, false)]
    [InlineData(KvElement.Fp8E4M3, 0x7E, true)]
    [InlineData(KvElement.Fp8E4M3, 0x7F, false)]
    [InlineData(KvElement.Fp8E4M3, 0xFF, false)]
    [InlineData(KvElement.Fp8E5M2, 0x7B, true)]
    [InlineData(KvElement.Fp8E5M2, 0x7C, false)]
    [InlineData(KvElement.Fp8E5M2, 0xFE, false)]
    [InlineData(KvElement.Opaque, 0xFF, true)]
    public void One_element_is_found_wherever_it_stands(KvElement element, int bits, bool isFinite)
    {
        var width = element.Bytes();
        for (var count = 1; count < 80; count++)
        {
            var bytes = new byte[count * width];
            Assert.True(FiniteNumbers.AreAll(element, bytes));
            for (var at = 0; at < count; at++)
            {
                Array.Clear(bytes);
                bytes[at * width] = (byte)bits;
                if (width == 2)
                {
                    bytes[(at * width) + 1] = (byte)(bits >> 8);
                }

                Assert.Equal(isFinite, FiniteNumbers.AreAll(element, bytes));
            }
        }
    }
}
