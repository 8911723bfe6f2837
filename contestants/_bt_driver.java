import bt.Bt;
import bt.data.file.FileSystemStorage;
import bt.runtime.BtClient;
import bt.runtime.Config;
import java.nio.file.Path;

/** Downloads one torrent with Bt, as its README has it: {@code java Driver TORRENT INTO}. */
public final class Driver {
    public static void main(String[] arguments) throws Exception {
        BtClient client = Bt.client()
                .config(new Config())
                .autoLoadModules()
                .storage(new FileSystemStorage(Path.of(arguments[1])))
                .torrent(Path.of(arguments[0]).toUri().toURL())
                .stopWhenDownloaded()
                .build();
        client.startAsync().join();
    }
}
