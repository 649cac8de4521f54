using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Tests.Integrity;

public sealed class LossTests
{
    [Fact]
    public void What_was_lost_is_read_as_it_was_written()
    {
        var bytes = new byte[Loss.Bytes];
        new Loss(4, 0.08f, 0.09f, float.NaN).Write(bytes);

        Assert.Equal(new Loss(4, 0.08f, 0.09f, float.NaN), Loss.Read(bytes));
        Assert.Equal("040000000AD7A33DEC51B83D0000C0FF", Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData("000000000AD7A33DEC51B83D00000000")]
    [InlineData("040001000AD7A33DEC51B83D00000000")]
    [InlineData("040000000AD7A3BDEC51B83D00000000")]
    [InlineData("040000000000807FEC51B83D00000000")]
    [InlineData("040000000AD7A33DEC51B83D000000")]
    public void What_nobody_wrote_is_no_loss(string bytes) => Assert.Null(Loss.Read(Convert.FromHexString(bytes)));
}
