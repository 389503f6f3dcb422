package io.github.sessionstore.spring;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Stands before the database and counts how often it is asked: each time it says that it
 * is ready for more.
 */
public final class TripCounter implements AutoCloseable {

	private static final int READY_FOR_QUERY = 'Z';

	private final ServerSocket listener;

	private final ExecutorService threads = Executors.newCachedThreadPool((task) -> {
		Thread thread = new Thread(task);
		thread.setDaemon(true);
		return thread;
	});

	private final AtomicInteger trips = new AtomicInteger();

	private final Queue<Socket> clients = new ConcurrentLinkedQueue<>();

	public TripCounter() throws IOException {
		this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
		this.threads.submit(this::listen);
	}

	public int port() {
		return this.listener.getLocalPort();
	}

	/** Since it was asked last. */
	public int trips() {
		return this.trips.getAndSet(0);
	}

	/** Ends all connections without a word, as a server that is killed does. */
	public void cut() throws IOException {
		for (Socket client; (client = this.clients.poll()) != null;) {
			client.close();
		}
	}

	private Void listen() throws IOException {
		while (true) {
			Socket client = this.listener.accept();
			this.clients.add(client);
			Socket server = new Socket(InetAddress.getLoopbackAddress(), Database.port());
			client.setTcpNoDelay(true);
			server.setTcpNoDelay(true);
			this.threads.submit(() -> pass(client, server));
			this.threads.submit(() -> count(server, client));
		}
	}

	private static Void pass(Socket client, Socket server) throws IOException {
		try (client; server; InputStream input = client.getInputStream()) {
			input.transferTo(server.getOutputStream());
			return null;
		}
	}

	private Void count(Socket server, Socket client) throws IOException {
		try (client; server; DataInputStream input = new DataInputStream(server.getInputStream())) {
			DataOutputStream output = new DataOutputStream(new BufferedOutputStream(client.getOutputStream()));
			while (true) {
				int type = input.readUnsignedByte();
				byte[] message = input.readNBytes(input.readInt() - Integer.BYTES);
				if (type == READY_FOR_QUERY) {
					this.trips.incrementAndGet();
				}
				output.writeByte(type);
				output.writeInt(message.length + Integer.BYTES);
				output.write(message);
				output.flush();
			}
		}
	}

	@Override
	public void close() throws IOException {
		this.listener.close();
		this.threads.shutdownNow();
	}

}
